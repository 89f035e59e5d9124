# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases of an app as they lie on the host, and which of them its processes run: as the kernel has it."""

from __future__ import annotations

import os
import pwd
import re
from typing import Any, Iterable, NamedTuple

from ansible_collections.minato.fleet.plugins.module_utils._processes import working_directory
from ansible_collections.minato.fleet.plugins.module_utils._release_host import Releases
from ansible_collections.minato.fleet.plugins.module_utils._release_slots import SLOTS
from ansible_collections.minato.fleet.plugins.module_utils._releases import ID, Found

DELETED = " (deleted)"  # what the kernel writes behind a directory that is no more


class Process(NamedTuple):
    """A process of an app's user, and where the kernel says that it runs."""

    pid: int
    user: str
    directory: str


def processes(users: Iterable[str]) -> list[Process]:
    """Every process of these users, in one look at all of the host's. Raises UnseenError."""
    wanted = set(users)
    names = {entry.pw_uid: entry.pw_name for entry in pwd.getpwall() if entry.pw_name in wanted}
    found = []
    for pid in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        name = names.get(_owner(pid))
        directory = working_directory(pid) if name else ""
        if name and directory:
            found.append(Process(pid, name, directory))
    return found


def _owner(pid: int) -> int:
    """The user id of a process; -1 where it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
            said = re.search(r"^Uid:\s+(\d+)", stream.read(), re.MULTILINE)
    except OSError:
        return -1
    return int(said.group(1)) if said else -1


def look(releases: Releases, running: list[Process]) -> dict[str, Any]:
    """``releases``: each with what its manifest says, its size, its slot and its processes, the newest first.
    ``stale``: processes in a release that no slot has, or that is no more; what builds a release is none of them.

    running: processes, of this app's user and others.
    """
    root = os.path.realpath(releases.root)
    inside = {
        each: place for each in running if each.user == releases.user for place in [_release(each, root)] if place
    }
    slots = _slots(releases)
    found = releases.found()
    fresh = {each.id for each in found if each.id in slots or each.state == "building"}
    by_release: dict[str, list[int]] = {}
    for each, (release_id, deleted) in inside.items():
        if not deleted:
            by_release.setdefault(release_id, []).append(each.pid)
    return {
        "releases": [
            _entry(releases, each, slots.get(each.id), by_release.get(each.id, [])) for each in reversed(found)
        ],
        "stale": [
            {"pid": each.pid, "release": release_id, "directory": each.directory}
            for each, (release_id, deleted) in inside.items()
            if deleted or release_id not in fresh
        ],
    }


def _slots(releases: Releases) -> dict[str, str]:
    """The slot of each release that has one; that which serves, for one that has both."""
    live = releases.slots.live()
    ordered = sorted(SLOTS, key=lambda slot: slot == live)
    held = ((releases.slots.release(slot), slot) for slot in ordered)
    return {release_id: slot for release_id, slot in held if release_id}


def _release(process: Process, root: str) -> tuple[str, bool] | None:
    """The release that a process runs in, and whether that is deleted; None where it runs elsewhere."""
    directory = process.directory
    deleted = directory.endswith(DELETED)
    if not directory.startswith(root + "/"):
        return None
    name = directory[len(root) + 1 :].split("/", 1)[0]
    name = name[: -len(DELETED)] if name.endswith(DELETED) else name
    return (name, deleted) if ID.match(name) else None


def _entry(releases: Releases, found: Found, slot: str | None, running: list[int]) -> dict[str, Any]:
    manifest = releases.manifest(found.id)
    serves = found.id == releases.current()
    size = releases.size(found.id)
    told = {key: manifest.get(key) for key in ("commit", "version", "author", "committed_at", "activated_at")}
    return {
        "id": found.id,
        **told,
        # Where manifest and link disagree, the link is right.
        "state": "active" if serves else "ready" if found.state == "active" else found.state or "unreadable",
        "reason": manifest.get("reason") or "",
        "size_mb": None if size is None else size >> 20,
        "slot": slot,
        "running": running,
    }
