# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host as `config_tree` sees it: what is at a path, who owns it, and how one path is written safely."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from typing import Iterable, Mapping

from ansible_collections.minato.fleet.plugins.module_utils._config_tree_plan import (
    DIRECTORY,
    FILE,
    LINK,
    OTHER,
    Current,
    InputError,
    Node,
    Wanted,
    parents,
)


class Accounts:
    """Owner and group names of this host, looked up once each."""

    def __init__(self) -> None:
        """Start with nothing looked up."""
        self._users: dict[int, str] = {}
        self._groups: dict[int, str] = {}

    def user(self, uid: int) -> str:
        """Return the name of a user id, or its digits."""
        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._users[uid] = str(uid)
        return self._users[uid]

    def group(self, gid: int) -> str:
        """Return the name of a group id, or its digits."""
        if gid not in self._groups:
            try:
                self._groups[gid] = grp.getgrgid(gid).gr_name
            except KeyError:
                self._groups[gid] = str(gid)
        return self._groups[gid]

    def uid(self, owner: str) -> int | None:
        """Return the id of an owner (name or digits), None where the host has no such user."""
        try:
            return int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
        except KeyError:
            return None

    def gid(self, group: str) -> int | None:
        """Return the id of a group (name or digits), None where the host has no such group."""
        try:
            return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
        except KeyError:
            return None

    def named(self, node: Node) -> Node:
        """Return a node whose digits are names where the host has them, so that both spellings compare equal."""
        owner = self.user(int(node.owner)) if node.owner.isdigit() else node.owner
        group = self.group(int(node.group)) if node.group.isdigit() else node.group
        return node._replace(owner=owner, group=group)

    def missing(self, nodes: Mapping[str, Node]) -> list[str]:
        """Return one sentence per owner or group that this host lacks."""
        lacking: dict[str, str] = {}
        for path in sorted(nodes):
            node = nodes[path]
            if node.kind == LINK:
                continue
            if self.uid(node.owner) is None:
                lacking.setdefault(f"user {node.owner}", path)
            if self.gid(node.group) is None:
                lacking.setdefault(f"group {node.group}", path)
        return [f"{who} does not exist (wanted for {path})" for who, path in lacking.items()]


def look(path: str, accounts: Accounts) -> Node | None:
    """Return what is at a path (content read), None where nothing is."""
    info = _info(path)
    if info is None:
        return None
    owner, group, mode = accounts.user(info.st_uid), accounts.group(info.st_gid), stat.S_IMODE(info.st_mode)
    if stat.S_ISDIR(info.st_mode):
        return Node(DIRECTORY, owner, group, mode)
    if stat.S_ISLNK(info.st_mode):
        return Node(LINK, owner, group, 0, target=os.readlink(path))
    if not stat.S_ISREG(info.st_mode):
        return Node(OTHER, owner, group, mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # it may be another thing by now
    with os.fdopen(descriptor, "rb") as stream:
        return Node(FILE, owner, group, mode, content=stream.read(), mtime_ns=info.st_mtime_ns)


def survey(wanted: Wanted, manifest: Mapping[str, Node], accounts: Accounts) -> Current:
    """Read every path that a plan may need: wanted, managed, to be removed, and the directories above them."""
    _refuse_aliases(wanted)
    nodes: dict[str, Node] = {}
    children: dict[str, set[str]] = {}
    absent = set(wanted.absent)
    for path in sorted(set(wanted.nodes) | set(manifest) | absent):
        found = look(path, accounts)
        if found is None:
            continue
        ours, target = manifest.get(path), wanted.nodes.get(path)
        nodes[path] = found._replace(secret=bool(ours and ours.secret) or bool(target and target.secret))
        if found.kind == DIRECTORY and target is None:
            children[path] = {os.path.join(path, name) for name in os.listdir(path)}
    above = {parent for path in [*wanted.nodes, *absent] for parent in parents(path)}
    for path in sorted(above - set(nodes)):
        # Inside `directory` a link would lead out of the staged copy, so it is seen as the link it is.
        node = _kind_only(path, follow=not path.startswith(wanted.directory + "/") if wanted.directory else True)
        if node is not None:
            nodes[path] = node
    return Current(nodes, manifest, children)


def _refuse_aliases(wanted: Wanted) -> None:
    """Refuse two entries that are one path, because a directory above one of them is a link."""
    above = {parent: os.path.realpath(parent) for parent in {os.path.dirname(path) for path in wanted.nodes}}
    seen: dict[str, str] = {}
    for path in wanted.nodes:
        real = os.path.join(above[os.path.dirname(path)], os.path.basename(path))
        if seen.setdefault(real, path) != path:
            raise InputError(f"{seen[real]} and {path} are one path on this host ({real}): keep one entry")


def _kind_only(path: str, follow: bool) -> Node | None:
    info = _info(path)
    if info is not None and stat.S_ISLNK(info.st_mode) and follow and os.path.isdir(path):
        return Node(DIRECTORY)
    if info is None or stat.S_ISDIR(info.st_mode):
        return Node(DIRECTORY) if info else None
    return Node(LINK if stat.S_ISLNK(info.st_mode) else FILE)


def _info(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise


def ids(node: Node, accounts: Accounts) -> tuple[int, int]:
    """Return uid and gid of a node whose accounts were checked before."""
    uid, gid = accounts.uid(node.owner), accounts.gid(node.group)
    if uid is None or gid is None:
        raise LookupError(f"{node.owner}:{node.group} does not exist")
    return uid, gid


def create(path: str, node: Node, accounts: Accounts) -> None:
    """Make a file, link or directory where nothing is. A file is never readable by others before its owner is set.

    Rights are given through a descriptor: the directory may belong to a user who could put a link in the way.
    """
    if node.kind == LINK:
        os.symlink(node.target, path)
        return
    if node.kind == DIRECTORY:
        os.mkdir(path, 0o700)
        set_access(path, node, accounts)
        return
    uid, gid = ids(node, accounts)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(node.content or b"")
        stream.flush()
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, node.mode)
        if node.mtime_ns:
            os.utime(descriptor, ns=(node.mtime_ns, node.mtime_ns))
        os.fsync(descriptor)


def set_access(path: str, node: Node, accounts: Accounts) -> None:
    """Give an existing directory its owner, group and mode."""
    uid, gid = ids(node, accounts)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, node.mode)
    finally:
        os.close(descriptor)


def sync(paths: Iterable[str]) -> None:
    """Flush directories to disk, so that a rename in them outlives a power cut."""
    for path in sorted(set(paths)):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
