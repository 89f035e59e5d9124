# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app's releases on disk: what is there, and each small change, such that a stop in the middle does no harm."""

from __future__ import annotations

import datetime
import json
import os
import pwd
import shutil
import stat
from typing import Any

from ansible_collections.minato.fleet.plugins.module_utils._release_slots import Slots
from ansible_collections.minato.fleet.plugins.module_utils._releases import ID, Found, parse_manifest


class HostError(Exception):
    """The host is not as the step needs it. The text says what to do."""


def now() -> str:
    """This moment, UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Releases:
    """The releases below one home directory, run by one user, with the environment of one file (empty for none)."""

    def __init__(self, home: str, user: str, env_file: str = "") -> None:
        self.home = home
        self.user = user
        self.slots = Slots(home, env_file)
        self.root = self.slots.releases
        self.shared = os.path.join(home, "shared")

    def directory(self, release_id: str) -> str:
        """Path of a release; refuses what is no id, so that nothing else is ever built or removed."""
        if not ID.match(release_id):
            raise HostError(f"{release_id} is not the id of a release")
        return os.path.join(self.root, release_id)

    def manifest_path(self, release_id: str) -> str:
        return self.directory(release_id) + ".json"

    def manifest(self, release_id: str) -> dict[str, Any]:
        """The manifest's keys; empty if there is none to read."""
        try:
            with open(self.manifest_path(release_id), encoding="utf-8") as stream:
                return parse_manifest(stream.read())
        except (FileNotFoundError, UnicodeDecodeError):
            return {}

    def found(self) -> list[Found]:
        """Every release, finished or not, in the order of their ids. Empty where nothing was ever deployed."""
        try:
            names = os.listdir(self.root)
        except FileNotFoundError:
            return []
        ids = {name[: -len(".json")] if name.endswith(".json") else name for name in names}
        releases = []
        for release_id in sorted(filter(ID.match, ids)):
            manifest = self.manifest(release_id)
            complete = os.path.isdir(self.directory(release_id))
            releases.append(Found(release_id, manifest.get("state", ""), manifest.get("commit", ""), complete))
        return releases

    def current(self) -> str | None:
        """Id of the release that serves, or None."""
        return self.slots.release(self.slots.live())

    def write_manifest(self, release_id: str, **changes: Any) -> dict[str, Any]:
        """Merge ``changes`` into the manifest, in one rename, and on disk when this returns."""
        path = self.manifest_path(release_id)
        manifest = {**self.manifest(release_id), **changes}
        with open(path + ".new", "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), 0o644)
            json.dump(manifest, stream, indent=2, ensure_ascii=False)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(path + ".new", path)
        return manifest

    def account(self) -> tuple[int, int]:
        """(uid, gid) of the app's user."""
        try:
            entry = pwd.getpwnam(self.user)
        except KeyError:
            raise HostError(f"user {self.user} does not exist: run the entry point accounts first") from None
        return entry.pw_uid, entry.pw_gid

    def check_unfinished(self, ids: list[str]) -> None:
        """Refuse ids of finished releases: what was planned before another run finished them is out of date."""
        for release_id in ids:
            if release_id == self.current() or self.manifest(release_id).get("state") in ("ready", "active"):
                raise HostError(f"another run has finished {release_id} in the meantime: run again")

    def size(self, release_id: str) -> int | None:
        """Bytes that a release takes on the disk; None where it is gone, or somebody is at work in it."""
        try:
            return _size(self.directory(release_id))
        except FileNotFoundError:
            return None

    def check_disk(self, reserve_mb: int, size: int | None = None) -> None:
        """Refuse to begin where a release would leave less than the reserve free.

        size: its bytes; None where nobody knows them yet, and the running one's are taken.
        """
        current, like = self.current(), ""
        if size is None:
            size, like = _size(self.directory(current)) if current else 0, " as the running one does"
        host = os.statvfs(self.root)
        free, reserve = host.f_bavail * host.f_frsize, reserve_mb << 20
        if free < size + reserve:
            raise HostError(
                f"{self.root} has {free >> 20} MB free. One more release takes {size >> 20} MB{like},"
                f" and {reserve_mb} MB (app_disk_reserve_mb) shall stay free: make room, or lower the reserve"
            )

    def create(self, release_id: str, **facts: Any) -> str:
        """An empty directory for a release, and the manifest that calls it unfinished."""
        if not os.path.isdir(self.root):
            raise HostError(f"{self.root} does not exist: run the entry point accounts first")
        self.account()
        self.check_unfinished([release_id])
        directory = self.directory(release_id)
        known = {"id": release_id, "state": "building", "created_at": now(), "activated_at": None}
        self.write_manifest(release_id, **known, **facts)
        shutil.rmtree(directory, ignore_errors=True)
        os.mkdir(directory, 0o700)
        return directory

    def remove(self, release_id: str) -> None:
        """Remove a release. The manifest goes first: what a stop leaves counts as unfinished, never as usable."""
        if release_id in self.slots.held():
            raise HostError(f"{release_id} is the running release")
        directory = self.directory(release_id)
        for path in (self.manifest_path(release_id), self.manifest_path(release_id) + ".new"):
            if os.path.lexists(path):
                os.unlink(path)
        if os.path.lexists(directory):
            shutil.rmtree(directory)

    def link_shared(self, release_id: str, shared: list[str]) -> None:
        """Link what outlives a release, and the manifest, into it. ``uploads/``: a directory, made if it is missing."""
        directory = self.directory(release_id)
        uid, gid = self.account()
        _replace_by_link(directory, "RELEASE.json", self.manifest_path(release_id))
        for entry in shared:
            name = entry.rstrip("/")
            target = os.path.join(self.shared, name)
            if entry.endswith("/") and not os.path.isdir(target):
                os.makedirs(target, 0o750)
                os.chown(target, uid, gid)
            if not os.path.lexists(target):
                raise HostError(
                    f"{target} does not exist: put it there before the deploy,"
                    f" or write {name}/ for a directory that is made here"
                )
            _replace_by_link(directory, name, target)

    def give(self, release_id: str) -> None:
        """Let the app's user build in the release."""
        uid, gid = self.account()
        directory = self.directory(release_id)
        for _parent, directories, files, handle in os.fwalk(directory, follow_symlinks=False):
            for name in directories + files:
                os.chown(name, uid, gid, dir_fd=handle, follow_symlinks=False)
        os.chown(directory, uid, gid)
        os.chmod(directory, 0o750)

    def seal(self, release_id: str) -> None:
        """Take the release back: owned by root, readable by the app's group, writable by nobody else."""
        gid = self.account()[1]
        directory = self.directory(release_id)
        os.chown(directory, 0, 0)
        os.chmod(directory, 0o700)  # nobody but root comes in while the rest changes hands
        for _parent, directories, files, handle in os.fwalk(directory, follow_symlinks=False):
            for name in directories + files:
                mode = os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
                os.chown(name, 0, gid, dir_fd=handle, follow_symlinks=False)
                if not stat.S_ISLNK(mode):
                    executable = stat.S_ISDIR(mode) or mode & 0o111
                    os.chmod(name, 0o750 if executable else 0o640, dir_fd=handle)
        os.chown(directory, 0, gid)
        os.chmod(directory, 0o750)

    def occupy(self, slot: str, release_id: str) -> None:
        """Put a finished release into a slot, with the wanted environment; its processes can be started then."""
        directory = self.directory(release_id)
        if not os.path.isdir(directory):
            raise HostError(f"{directory} does not exist")
        if self.manifest(release_id).get("state") != "active":
            self.write_manifest(release_id, state="ready")
        self.slots.occupy(slot, release_id, *self.account())

    def take_back(self, slot: str, release_id: str, reason: str) -> None:
        """Call a release bad that could not be brought into service, and have its slot as it was before.

        An environment that a release which serves was to get, and could not, does not make the release bad.
        """
        served = next((found.id for found in self.found() if found.state == "active"), None)
        if release_id != served:
            self.write_manifest(release_id, state="bad", reason=reason)
        self.slots.take_back(slot, served, *self.account())

    def switch(self, slot: str) -> None:
        """Make a slot the one that serves, by one rename; all of it is on disk before."""
        if os.path.isdir(self.slots.link) and not os.path.islink(self.slots.link):
            raise HostError(f"{self.slots.link} is a directory, not a link: move it away once")
        self.slots.switch(slot)
        # The new one comes last: while it is "ready" behind the link, the next run has something to finish.
        now_active = self.current()
        for other in self.found():
            if other.state == "active" and other.id != now_active:
                self.write_manifest(other.id, state="ready")
        if now_active:
            self.write_manifest(now_active, state="active", activated_at=now())


def _size(directory: str) -> int:
    """Bytes on disk below a directory."""
    total = 0
    for _parent, directories, files, handle in os.fwalk(directory, follow_symlinks=False):
        for name in directories + files:
            total += os.stat(name, dir_fd=handle, follow_symlinks=False).st_blocks * 512
    return total


def _replace_by_link(directory: str, name: str, target: str) -> None:
    """Put a relative link at ``directory/name``, in place of whatever the repository has there."""
    path = os.path.join(directory, name)
    parent = os.path.dirname(path)
    inside = os.path.realpath(directory)
    if not (os.path.realpath(parent) + "/").startswith(inside + "/"):
        raise HostError(f"{name} leads out of the release")
    os.makedirs(parent, 0o750, exist_ok=True)
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.isdir(path):
        shutil.rmtree(path)
    os.symlink(os.path.relpath(target, os.path.realpath(parent)), path)
