# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a set of files should become: pure functions from what is there and what is wanted to one plan.

Nothing here reads or writes anything. Paths are absolute and normalised; owners and groups are names
(or digits where a host knows no name), so an account that does not exist yet can be planned for.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, Iterable, Mapping, NamedTuple

FILE, DIRECTORY, LINK, OTHER = "file", "directory", "link", "other"
BY_HAND, BEFORE_US, UNWANTED = "changed by hand", "there before this set managed it", "listed under absent"


class InputError(Exception):
    """The input cannot be made true. The message says what, where and what to write instead."""


class Node(NamedTuple):
    """One path: on disk, wanted, or as this set left it (then `content` is None and `sha256` stands for it)."""

    kind: str
    owner: str = ""
    group: str = ""
    mode: int = 0
    content: bytes | None = None
    target: str = ""
    secret: bool = False
    sha256: str = ""
    created: bool = False  # a directory that this set made, so this set may remove it
    mtime_ns: int = 0  # 0: the time of writing
    implicit: bool = False  # a parent directory nobody listed: made when missing, its attributes left alone

    def digest(self) -> str:
        """Return the SHA-256 of the content, in hex."""
        return self.sha256 or hashlib.sha256(self.content or b"").hexdigest()

    def holds_same(self, other: Node) -> bool:
        """Say whether both hold the same thing, whoever may own or read it."""
        if self.kind != other.kind or self.target != other.target:
            return False
        if self.kind != FILE:
            return True
        if self.content is not None and other.content is not None:
            return self.content == other.content
        return self.digest() == other.digest()

    def same_access(self, other: Node) -> bool:
        """Say whether owner, group and mode agree. A link has none of its own that matter."""
        if self.kind == LINK:
            return True
        return (self.owner, self.group, self.mode) == (other.owner, other.group, other.mode)


class Wanted(NamedTuple):
    """The set as asked for."""

    nodes: Mapping[str, Node]
    absent: tuple[str, ...] = ()
    directory: str = ""


class Current(NamedTuple):
    """The host as found: nodes for every path of interest that exists (parents included)."""

    nodes: Mapping[str, Node]
    manifest: Mapping[str, Node]
    children: Mapping[str, Iterable[str]] = {}  # the paths inside directories that may have to go


class Change(NamedTuple):
    """One step: `before` None means it is made, `after` None means it is removed."""

    path: str
    before: Node | None
    after: Node | None

    @property
    def rewrites(self) -> bool:
        """Say whether more than owner, group and mode changes."""
        return self.before is None or self.after is None or not self.before.holds_same(self.after)


class Plan(NamedTuple):
    """Everything one run will do, in the order it is done."""

    changes: tuple[Change, ...]
    saves: Mapping[str, str]  # path -> why a copy of what is on disk is kept
    manifest: Mapping[str, Node]  # what this set manages once the plan is carried out

    @property
    def changed(self) -> bool:
        """Say whether anything on the host changes (the set's own books do not count)."""
        return bool(self.changes)


def wanted_set(params: Mapping[str, Any], contents: Mapping[str, bytes]) -> Wanted:
    """Turn module parameters into a `Wanted`, refusing what can never be made true.

    `contents` holds the bytes of every file by path as written in the parameters.
    """
    directory = _absolute(params["directory"], "directory") if params.get("directory") else ""
    nodes: dict[str, Node] = {}
    for key, kind in (("directories", DIRECTORY), ("files", FILE), ("links", LINK)):
        for entry in params.get(key) or []:
            path = _place(entry["path"], key, directory, allow_top=kind == DIRECTORY)
            if path in nodes:
                raise InputError(f"{path} is listed twice (as {nodes[path].kind} and as {kind}): keep one entry")
            nodes[path] = _wanted_node(path, kind, entry, contents)
    absent = []
    for raw in params.get("absent") or []:
        path = _place(raw, "absent", directory)
        if path in nodes:
            raise InputError(f"{path} is listed both as {nodes[path].kind} and under absent: keep one")
        if path not in absent:
            absent.append(path)
    for path in [*nodes, *absent]:
        for parent in parents(path):
            if parent in absent or (parent in nodes and nodes[parent].kind != DIRECTORY):
                how = "absent" if parent in absent else f"a {nodes[parent].kind}"
                raise InputError(f"{path} lies under {parent}, which this set wants to be {how}")
    return Wanted(nodes, tuple(absent), directory)


def _wanted_node(path: str, kind: str, entry: Mapping[str, Any], contents: Mapping[str, bytes]) -> Node:
    if kind == LINK:
        if not entry["target"]:
            raise InputError(f"{path}: a link needs a target")
        return Node(LINK, target=entry["target"])
    owner, group, mode = str(entry["owner"]), str(entry["group"]), parse_mode(path, entry["mode"])
    if kind == DIRECTORY:
        return Node(DIRECTORY, owner, group, mode)
    if entry["path"] not in contents:
        raise InputError(f"{path}: no content; give exactly one of template, content, src")
    return Node(FILE, owner, group, mode, content=contents[entry["path"]], secret=bool(entry.get("secret")))


def parse_mode(path: str, mode: Any) -> int:
    """Read a mode written as a string of four octal digits; anything else is refused."""
    if isinstance(mode, str) and re.match(r"^[0-7]{4}$", mode):
        return int(mode, 8)
    raise InputError(f'{path}: mode {mode!r} is not a quoted string of four octal digits such as "0644"')


def _absolute(path: str, where: str) -> str:
    if not path.startswith("/"):
        raise InputError(f"{where}: {path!r} is relative: write an absolute path")
    normal = os.path.normpath(path)
    if normal != path.rstrip("/") or normal == "/":
        raise InputError(f"{where}: {path!r} is not a plain path: write {normal!r}, without '.', '..' or '//'")
    return normal


def _place(raw: str, key: str, directory: str, allow_top: bool = False) -> str:
    path = _absolute(raw, key)
    if directory and not path.startswith(directory + "/") and not (allow_top and path == directory):
        raise InputError(f"{key}: {path} lies outside directory {directory}: move the entry to a set of its own")
    return path


def parents(path: str) -> list[str]:
    """Return the directories above a path, the nearest first, without the root."""
    above = []
    path = os.path.dirname(path)
    while path != "/":
        above.append(path)
        path = os.path.dirname(path)
    return above


def plan(current: Current, wanted: Wanted) -> Plan:
    """Work out what has to change.

    Raises `InputError` where a wanted file, link or directory would have to replace another kind of thing that
    is not this set's to remove.
    """
    _refuse_clashes(current, wanted)
    manifest: dict[str, Node] = {}
    made: list[Change] = []
    saves: dict[str, str] = {}
    fresh = Node(DIRECTORY, "root", "root", 0o755, created=True, implicit=True)
    made.extend(Change(path, None, fresh) for path in _missing_parents(current, wanted))
    for path, after in wanted.nodes.items():
        before, ours = current.nodes.get(path), current.manifest.get(path)
        created = after.kind == DIRECTORY and (before is None or (ours is not None and ours.created))
        manifest[path] = after._replace(
            content=None, sha256=after.digest() if after.kind == FILE else "", created=created
        )
        if before is not None and before.holds_same(after) and before.same_access(after):
            continue
        if before is not None and before.holds_same(after):
            after = after._replace(mtime_ns=before.mtime_ns)
        elif before is not None:
            if ours is None:
                saves[path] = BEFORE_US
            elif not before.holds_same(ours):
                saves[path] = BY_HAND
        made.append(Change(path, before, after))
    made.sort(key=_order)
    gone = _removals(current, wanted, saves)
    _keep_parents(current, wanted, made, manifest)
    for path in _idle_directories(current, wanted, gone, manifest):
        gone.append(Change(path, current.nodes[path], None))
    return Plan(tuple(made + gone), saves, manifest)


def _order(change: Change) -> tuple[int, str]:
    """Directories first, each after the one above it; links last, so that none points at what is still to come."""
    return (DIRECTORY, FILE, LINK).index(change.after.kind) if change.after else -1, change.path


def _refuse_clashes(current: Current, wanted: Wanted) -> None:
    for path, after in wanted.nodes.items():
        before = current.nodes.get(path)
        if before is not None and before.kind != after.kind and {before.kind, after.kind} - {FILE, LINK}:
            raise InputError(f"{path} is a {before.kind} and this set wants a {after.kind} there: move it away first")
    for path in [*wanted.nodes, *wanted.absent]:
        for parent in parents(path):
            above = current.nodes.get(parent)
            if above is not None and above.kind != DIRECTORY:
                raise InputError(f"{path} cannot be reached: {parent} is a {above.kind}, not a directory")
    leaving = {*wanted.absent, *current.manifest}.difference(wanted.nodes)
    for path in wanted.absent:
        found = current.nodes.get(path)
        if found is not None and found.kind == DIRECTORY and not leaving.issuperset(current.children.get(path, ())):
            raise InputError(f"absent: {path} is a directory with something in it: list its files")
        if found is not None and found.kind == OTHER:
            raise InputError(f"absent: {path} is neither a file, a link nor a directory")


def _missing_parents(current: Current, wanted: Wanted) -> list[str]:
    missing: set[str] = set()
    for path in wanted.nodes:
        missing.update(parent for parent in parents(path) if parent not in current.nodes and parent not in wanted.nodes)
    return sorted(missing)


def _removals(current: Current, wanted: Wanted, saves: dict[str, str]) -> list[Change]:
    """Return the files and links to remove, and note which of them are kept as a copy."""
    gone = []
    absent = set(wanted.absent)
    for path in sorted(absent.union(current.manifest) - set(wanted.nodes), reverse=True):
        before, ours = current.nodes.get(path), current.manifest.get(path)
        if before is None or before.kind == OTHER:
            continue
        if before.kind == DIRECTORY:
            if path in absent:
                gone.append(Change(path, before, None))
            continue
        if path not in absent and ours is not None and ours.kind == DIRECTORY:
            continue  # a person replaced our directory: theirs now
        gone.append(Change(path, before._replace(secret=before.secret or path in absent), None))
        if ours is None:
            saves[path] = UNWANTED
        elif not before.holds_same(ours):
            saves[path] = BY_HAND
    return gone


def _keep_parents(current: Current, wanted: Wanted, made: list[Change], manifest: dict[str, Node]) -> None:
    """Keep the parents that this set made on its books while something wanted lies below them."""
    fresh = {change.path: change.after for change in made if change.after is not None and change.after.implicit}
    for path in wanted.nodes:
        for parent in parents(path):
            ours = fresh.get(parent) or current.manifest.get(parent)
            if parent not in manifest and ours is not None and ours.kind == DIRECTORY and ours.created:
                manifest[parent] = ours._replace(implicit=True)


def _idle_directories(current: Current, wanted: Wanted, gone: list[Change], manifest: dict[str, Node]) -> list[str]:
    """Return the directories this set made and no longer needs, deepest first, where nothing else is left in them."""
    leaving = {change.path for change in gone}
    idle = []
    for path in sorted(current.manifest, key=lambda each: (-each.count("/"), each)):
        ours, found = current.manifest[path], current.nodes.get(path)
        if path in manifest or path in leaving or ours.kind != DIRECTORY or not ours.created:
            continue
        if found is None or found.kind != DIRECTORY or path == wanted.directory:
            continue
        if set(current.children.get(path, ())) <= leaving:
            leaving.add(path)
            idle.append(path)
    return idle
