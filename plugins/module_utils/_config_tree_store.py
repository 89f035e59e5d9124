# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The books of one set, under /var/lib/minato/config_tree/<name>/, for root's eyes only.

- manifest.json: what the set manages and how it left it, {path: Node without content}
- journal.json: a swap under way; there only while one is
- old/<n>: originals, kept until the swap is committed
- backup/<UTC>/: copies of what somebody else had written, kept for ever
- parachute: what puts the originals back, while a set waits to be confirmed
- view/: an empty mount point, for the validators' view
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from typing import Any, Iterator, Mapping

from ansible_collections.minato.fleet.plugins.module_utils._config_tree_host import Accounts, create, look, sync
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_plan import InputError, Node

ROOT = "/var/lib/minato/config_tree"


class RunError(Exception):
    """A step of the run failed. The message says which, with what output, and what is in place now."""


class Store:
    """Manifest, journal, originals and backups of one set."""

    def __init__(self, root: str, name: str) -> None:
        """Name the place; nothing is made before `locked`."""
        if not re.match(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", name):
            raise InputError(
                f"name: {name!r} must be letters, digits, '_', '.' and '-', beginning with a letter or digit"
            )
        self.name = name
        self.path = os.path.join(root, name)
        self._lock = -1

    def at(self, *parts: str) -> str:
        """Return a path inside the set's books."""
        return os.path.join(self.path, *parts)

    @contextmanager
    def locked(self, patience: float = 30.0) -> Iterator[None]:
        """Hold the set for this run, waiting `patience` seconds for another one to end. Raises `RunError`."""
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            until = time.monotonic() + patience
            while not self._try_lock():
                if time.monotonic() >= until:
                    raise RunError(f"nothing was changed: another run has held {self.path} for {patience:g} s")
                time.sleep(0.1)
            yield
        finally:
            self.release()

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let go of the lock; a forked child calls this so as not to hold it beyond its parent's life."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def manifest(self) -> dict[str, Node]:
        """Return what the set manages, by path."""
        return {path: Node(**fields) for path, fields in (self._read("manifest.json") or {}).items()}

    def write_manifest(self, nodes: Mapping[str, Node]) -> None:
        """Replace the manifest."""
        self._write("manifest.json", pack(nodes))

    def journal(self) -> dict[str, Any] | None:
        """Return the swap under way, None where there is none."""
        return self._read("journal.json")

    def write_journal(self, journal: Mapping[str, Any]) -> None:
        """Replace the journal; it is on disk when this returns."""
        self._write("journal.json", journal)

    def close_journal(self) -> None:
        """End the swap: forget the originals, then the journal."""
        shutil.rmtree(self.at("old"), ignore_errors=True)
        os.unlink(self.at("journal.json"))
        sync([self.path])

    def keep_original(self, number: int, node: Node, accounts: Accounts) -> str:
        """Keep what a step is about to replace; returns the name to put in the journal."""
        os.makedirs(self.at("old"), mode=0o700, exist_ok=True)
        name = f"old/{number}"
        create(self.at(name), node, accounts)
        return name

    def save(self, path: str, node: Node, stamp: str, accounts: Accounts) -> str:
        """Keep a copy for people, once: the same content of the same path is not saved twice. Returns its place."""
        for earlier in sorted(os.listdir(self.at("backup")) if os.path.isdir(self.at("backup")) else ()):
            place = self.at("backup", earlier) + path
            kept = look(place, accounts)
            if kept is not None and kept.holds_same(node):
                return place
        place = self.at("backup", stamp) + path
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        half = place + ".part"
        if os.path.lexists(half):
            os.unlink(half)
        create(half, node, accounts)
        os.rename(half, place)
        sync([os.path.dirname(place)])
        return place

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            with open(self.at(name), encoding="utf-8") as stream:
                data: dict[str, Any] = json.load(stream)
                return data
        except FileNotFoundError:
            return None

    def _write(self, name: str, data: Mapping[str, Any]) -> None:
        descriptor = os.open(self.at(name + ".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(data, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(self.at(name + ".new"), self.at(name))
        sync([self.path])


def pack(nodes: Mapping[str, Node]) -> dict[str, dict[str, Any]]:
    """Return nodes as JSON takes them: by digest, without content."""
    return {path: packed(node) for path, node in nodes.items()}


def packed(node: Node) -> dict[str, Any]:
    """Return one node as JSON takes it."""
    fields = node._replace(content=None, sha256=node.digest() if node.kind == "file" else "")._asdict()
    return dict(fields)
