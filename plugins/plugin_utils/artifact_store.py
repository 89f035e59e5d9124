# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where artifacts are kept on the controller, and how a tree becomes one.

``<directory>/<app>/<name>.tar.gz`` is the archive and ``<name>.json`` what is known of it, written last: an archive
without it was never finished. ``<name>/`` is the tree while it is built.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import shutil
import stat
import tarfile
import tempfile
import time
import typing as t
from collections.abc import Iterator

from ansible_collections.minato.fleet.plugins.module_utils._release_archive import leading_out, sha256

Artifact = dict[str, t.Any]

BLOCK = 4096  # bytes that a file takes on a disk are a multiple of this
PATIENCE = 0.5  # seconds between two looks at a lock
FORGOTTEN = 86400  # seconds after which what is half done is nobody's any more


class StoreError(Exception):
    """The store or the tree is not as it should be. The text says what to do."""


class Store:
    """The artifacts of one app."""

    def __init__(self, directory: str, app: str) -> None:
        self.root = os.path.join(os.path.abspath(os.path.expanduser(directory)), app)

    def find(self, name: str) -> Artifact | None:
        """The artifact, as the module release takes it, or None."""
        try:
            with open(self._path(name, "json"), encoding="utf-8") as stream:
                known: Artifact = json.load(stream)
        except (FileNotFoundError, ValueError):
            return None
        path = self._path(name, "tar.gz")
        if not os.path.isfile(path):
            return None
        os.utime(path)  # used now: the last to be removed
        return {**known, "path": path}

    @contextlib.contextmanager
    def locked(self, name: str, timeout: int) -> Iterator[None]:
        """One run at a time builds an artifact; the lock ends with its holder. Raises StoreError after a time."""
        os.makedirs(self.root, 0o700, exist_ok=True)
        until = time.monotonic() + timeout
        with open(self._path(name, "lock"), "w", encoding="utf-8") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise StoreError(
                            f"another run has been building it for {timeout} s: wait until it is done"
                        ) from None
                    time.sleep(PATIENCE)
            yield

    @contextlib.contextmanager
    def tree(self, name: str) -> Iterator[str]:
        """An empty directory to build in, removed in the end. Its path is the same each time: builds write it down."""
        directory = os.path.join(self.root, name)
        _clear(directory)
        os.mkdir(directory)
        try:
            yield directory
        finally:
            _clear(directory)

    def put(self, name: str, directory: str, moment: int, manifest: dict[str, t.Any]) -> Artifact:
        """Pack the tree and keep it. ``moment``: seconds since 1970 that all its files get. Raises StoreError."""
        path = self.incoming(name)
        unpacked = pack(directory, path, moment)
        return self.keep(name, sha256(path), unpacked, manifest)

    def incoming(self, name: str) -> str:
        """Where an archive lies until it is kept."""
        return self._path(name, "tar.gz") + ".new"

    def keep(self, name: str, checksum: str, unpacked: int, manifest: dict[str, t.Any]) -> Artifact:
        """Keep what lies at ``incoming``. ``unpacked``: bytes that what is in it takes on a disk."""
        path, fresh = self._path(name, "tar.gz"), self.incoming(name)
        known = {"sha256": checksum, "size": os.path.getsize(fresh) + unpacked, "manifest": manifest}
        os.rename(fresh, path)
        with open(self._path(name, "json") + ".new", "w", encoding="utf-8") as stream:
            json.dump(known, stream, indent=2)
        os.rename(stream.name, self._path(name, "json"))
        return {**known, "path": path}

    def prune(self, keep: int) -> None:
        """Remove all but those that were used last, and what killed runs have left."""
        for entry in list(os.scandir(self.root)):
            half_done = entry.is_dir(follow_symlinks=False) or entry.name.endswith(".new")
            if half_done and entry.stat(follow_symlinks=False).st_mtime < time.time() - FORGOTTEN:
                _clear(entry.path)
        ending = ".tar.gz"
        names = [entry.name[: -len(ending)] for entry in os.scandir(self.root) if entry.name.endswith(ending)]
        names.sort(key=lambda name: os.path.getmtime(self._path(name, "tar.gz")), reverse=True)
        for name in names[keep:]:
            for kind in ("json", "tar.gz", "lock"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path(name, kind))

    def _path(self, name: str, kind: str) -> str:
        return os.path.join(self.root, f"{name}.{kind}")


def _clear(directory: str) -> None:
    """Remove a tree, though a command that outlived its run may still be writing to it."""
    if os.path.lexists(directory):
        grave = tempfile.mkdtemp(prefix=".gone-", dir=os.path.dirname(directory))
        os.rename(directory, os.path.join(grave, "tree"))
        shutil.rmtree(grave, ignore_errors=True)


def pack(directory: str, archive: str, moment: int) -> int:
    """Write a tar.gz of a tree; the same tree gives the same bytes. Gives what the tree takes on a disk, in bytes.

    Raises StoreError for links that lead out of it, and for what is neither file, directory nor link.
    """
    root = os.path.realpath(directory)
    links, size = [], 0
    with (
        open(archive, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in _entries(root, ""):
            member = _member(root, name, moment)
            size += -(-member.size // BLOCK) * BLOCK if member.isreg() else BLOCK
            if member.isreg():
                with open(os.path.join(root, name), "rb") as stream:
                    tar.addfile(member, stream)
            else:
                tar.addfile(member)
            links += [name] if member.issym() else []
    outside = leading_out(root, links)
    if outside:
        raise StoreError(
            f"{outside[0]} is a link that leads out of the release."
            " Take it out of the repository, or out of what the build makes"
        )
    return size


def _entries(root: str, below: str) -> Iterator[str]:
    """Everything in a tree, by its path from the root, in the order of names."""
    for entry in sorted(os.scandir(os.path.join(root, below)), key=lambda entry: entry.name):
        name = os.path.join(below, entry.name)
        yield name
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(root, name)


def _member(root: str, name: str, moment: int) -> tarfile.TarInfo:
    found = os.lstat(os.path.join(root, name))
    member = tarfile.TarInfo(name)
    member.mtime = moment
    if stat.S_ISLNK(found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(os.path.join(root, name))
    elif stat.S_ISDIR(found.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    elif stat.S_ISREG(found.st_mode):
        member.size, member.mode = found.st_size, 0o755 if found.st_mode & 0o111 else 0o644
    else:
        raise StoreError(f"{name} is neither a file, a directory nor a link, and cannot be shipped")
    return member
