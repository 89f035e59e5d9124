# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put a planned set live, under a journal that a later run can finish or undo.

The journal's `phase` says how far a swap came:

    staging    copies are being made, of the directory beside it or of originals; nothing is live
    swapping   live paths are being replaced                     -> a later run undoes
    swapped    all are replaced, the service was not yet told    -> a later run reloads, and so finishes
               (a set that has to be confirmed and was not       -> a later run undoes)
    undoing    the new set was rejected, the old one comes back  -> a later run undoes the rest and reloads
    done       the service took the new set; only tidying is left
    undone     the old set is back and was loaded; only tidying is left

The commit point is the step from `swapping` to `swapped`. Where a validated directory is swapped by one rename,
that rename itself is the commit point: the inode that is live tells whether it happened.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from typing import Any, Dict, Mapping

from ansible_collections.minato.fleet.plugins.module_utils._config_tree_host import (
    Accounts,
    create,
    look,
    set_access,
    sync,
)
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_parachute import arm, beside, disarm
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_plan import DIRECTORY, Change, Node, Plan
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_store import RunError, Store, pack, packed

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
Journal = Dict[str, Any]


class ExchangeError(Exception):
    """This directory cannot be swapped by one rename here."""


def exchange(one: str, other: str) -> None:
    """Swap two paths by one rename. Raises `ExchangeError` where the kernel or the file system will not."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        raise ExchangeError("the C library has no renameat2") from None
    if renameat2(_AT_FDCWD, one.encode(), _AT_FDCWD, other.encode(), _RENAME_EXCHANGE) != 0:
        raise ExchangeError(os.strerror(ctypes.get_errno()))


def holds_mounts(directory: str) -> bool:
    """Say whether something is mounted on or below a directory: a copy would lack it."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            points = [line.split()[4].replace("\\040", " ") for line in stream]
    except FileNotFoundError:
        return False
    directory = os.path.realpath(directory)
    return any(point == directory or point.startswith(directory + "/") for point in points)


class Swap:
    """One swap of one set, from the staged copy to the closed journal."""

    def __init__(self, store: Store, accounts: Accounts, journal: Journal) -> None:
        """Take up a swap where its journal stands."""
        self.store = store
        self.accounts = accounts
        self.journal = journal
        self._seen: dict[str, tuple[int, int]] = {}

    @classmethod
    def of(
        cls, store: Store, accounts: Accounts, todo: Plan, directory: str, reload: str, confirm_within: int = 0
    ) -> Swap:
        """Prepare the swap of a plan. Nothing is written yet."""
        staged = ""
        if directory and os.path.isdir(directory) and not os.path.islink(directory) and not holds_mounts(directory):
            above, name = os.path.split(directory)
            staged = os.path.join(above, f".{name}.minato-{os.urandom(4).hex()}")
        journal: Journal = {
            "phase": "staging",
            "directory": directory,
            "staged": staged,
            "staged_inode": 0,
            "validated": True,
            "reload": reload,
            "confirm_within": confirm_within,
            "steps": [],
            "manifest": pack(todo.manifest),
        }
        return cls(store, accounts, journal)

    @property
    def staged(self) -> str:
        """Return the path of the staged copy of the directory; empty where files are swapped one by one."""
        staged: str = self.journal["staged"]
        return staged

    @property
    def has_to_be_confirmed(self) -> bool:
        """Say whether the old set comes back by itself unless somebody confirms the new one."""
        return bool(self.journal.get("confirm_within"))

    def stage(self, todo: Plan) -> None:
        """Where one rename can do: copy the directory beside itself and carry out the plan in the copy."""
        directory, staged = self.journal["directory"], self.staged
        if not staged:
            return
        if os.path.lexists(staged):
            shutil.rmtree(staged)
        self._mark("staging")
        self._seen = _inodes(directory)
        _copy_tree(directory, staged)
        for change in todo.changes:
            _carry_out(staged + change.path[len(directory) :], change, self.accounts)
        sync(staged + os.path.dirname(change.path)[len(directory) :] for change in todo.changes)
        sync([os.path.dirname(staged)])

    def is_stale(self) -> bool:
        """Say whether somebody else put, replaced or removed a name in the directory since it was staged."""
        return bool(self.staged) and _inodes(self.journal["directory"]) != self._seen

    def go_live(self, todo: Plan, validated: bool) -> None:
        """Replace the live paths. Raises `RunError` with everything as it was before.

        Without `validated` the caller still has to call `commit` or `undo`: the rename alone commits nothing.
        """
        self.journal["validated"] = validated
        if self.staged:
            try:
                self._mark("swapping", staged_inode=os.stat(self.staged).st_ino)
                exchange(self.staged, self.journal["directory"])
                sync([os.path.dirname(self.staged)])
            except ExchangeError:
                shutil.rmtree(self.staged)
                self.journal.update(staged="", staged_inode=0)
        if not self.staged:
            self._go_live_by_file(todo)
        if validated:
            self.commit()

    def _go_live_by_file(self, todo: Plan) -> None:
        self._mark("staging")
        self.journal["steps"] = [self._step(number, change) for number, change in enumerate(todo.changes)]
        sync([self.store.at("old"), self.store.path])
        self._arm()
        self._mark("swapping")
        try:
            folders = [change for change in todo.changes if change.after is not None and change.after.kind == DIRECTORY]
            others = [change for change in todo.changes if change not in folders]
            for change in folders:
                self._put(change)
            for change in others:  # all content is on disk before the first name changes hands
                if change.after is not None:
                    create(beside(change.path), change.after, self.accounts)
            for change in others:
                if change.after is not None:
                    os.rename(beside(change.path), change.path)
                else:
                    _carry_out(change.path, change, self.accounts)
            sync(os.path.dirname(change.path) for change in todo.changes)
        except OSError as error:
            self.undo()
            self.close()
            raise RunError(f"the swap failed and was undone, the old set is in place: {error}") from error

    def _arm(self) -> None:
        if self.has_to_be_confirmed:
            try:
                arm(self.store, self.journal)
            except RunError:
                self.close()
                raise

    def _put(self, change: Change) -> None:
        """Make a directory with its rights from the start, or give the one there its rights."""
        if change.before is None and change.after is not None:
            create(beside(change.path), change.after, self.accounts)
            os.rename(beside(change.path), change.path)
        elif change.after is not None:
            set_access(change.path, change.after, self.accounts)

    def _step(self, number: int, change: Change) -> dict[str, Any]:
        before, after = change.before, change.after
        saved = before is not None and before.kind != DIRECTORY
        return {
            "path": change.path,
            "before": packed(before) if before is not None else None,
            "after": packed(after) if after is not None else None,
            "old": self.store.keep_original(number, before, self.accounts) if before is not None and saved else "",
        }

    def _mark(self, phase: str, **more: Any) -> None:
        self.journal.update(phase=phase, **more)
        self.store.write_journal(self.journal)

    def commit(self) -> None:
        """Pass the commit point: from here on a later run finishes."""
        self._mark("swapped")

    def is_committed(self) -> bool:
        """Say whether a later run has to finish (else: undo)."""
        if self.journal["phase"] == "swapping" and self.staged and self.journal["validated"]:
            return self._is_exchanged()
        return bool(self.journal["phase"] == "swapped") and not self.has_to_be_confirmed

    def _is_exchanged(self) -> bool:
        try:
            return bool(os.stat(self.journal["directory"]).st_ino == self.journal["staged_inode"])
        except FileNotFoundError:
            return False

    def undo(self) -> None:
        """Bring the old set back; may be called again after being killed."""
        if self.journal["phase"] != "staging":
            self._mark("undoing")
            if self.staged:
                if self._is_exchanged():
                    exchange(self.staged, self.journal["directory"])
                    sync([os.path.dirname(self.staged)])
            else:
                for step in reversed(self.journal["steps"]):
                    self._undo_step(step)
                sync(os.path.dirname(step["path"]) for step in self.journal["steps"])

    def _undo_step(self, step: Mapping[str, Any]) -> None:
        """Undo one step, unless it was not made or what it made was replaced by somebody since."""
        path = step["path"]
        before, after = _node(step["before"]), _node(step["after"])
        _discard(beside(path))
        now = look(path, self.accounts)
        if before is not None and before.kind == DIRECTORY:
            if now is None or now.kind == DIRECTORY:
                self._put(Change(path, now, before))
        elif after is not None and after.kind == DIRECTORY:
            if now is not None and now.kind == DIRECTORY and not os.listdir(path):
                os.rmdir(path)
        elif self._is_made(now, after):
            if before is None:
                os.unlink(path)
            else:
                self._restore(path, step["old"], before)

    @staticmethod
    def _is_made(now: Node | None, after: Node | None) -> bool:
        if now is None or after is None:
            return now is after
        return now.holds_same(after)

    def _restore(self, path: str, old: str, before: Node) -> None:
        kept = look(self.store.at(old), self.accounts)
        if kept is None:
            raise RunError(f"{self.store.at(old)}, the original of {path}, is gone")
        create(beside(path), before._replace(content=kept.content), self.accounts)
        os.rename(beside(path), path)

    def finish(self) -> None:
        """Write the books after the service took the new set and it was confirmed, and close the swap."""
        if self.has_to_be_confirmed:
            disarm(self.store)
        self._mark("done")
        self.store.write_manifest({path: Node(**fields) for path, fields in self.journal["manifest"].items()})
        self.close()

    def close(self) -> None:
        """Remove what the swap left lying about, the journal last."""
        if self.has_to_be_confirmed:
            disarm(self.store)
        if self.journal["phase"] == "undoing":
            self._mark("undone")
        if self.staged:
            shutil.rmtree(self.staged, ignore_errors=True)
        if self.store.journal() is not None:
            self.store.close_journal()


def _node(fields: Mapping[str, Any] | None) -> Node | None:
    return Node(**fields) if fields is not None else None


def _discard(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _inodes(directory: str) -> dict[str, tuple[int, int]]:
    """Return what every name below a directory stands for, but not the state of what it stands for."""
    seen = {}
    for root, folders, files in os.walk(directory):
        for name in folders + files:
            path = os.path.join(root, name)
            info = os.lstat(path)
            seen[path] = (info.st_dev, info.st_ino)
    return seen


def _copy_tree(source: str, target: str) -> None:
    """Copy a directory: directories are made anew, everything in them is the same inode under a second name."""
    os.mkdir(target, 0o700)
    below: list[os.DirEntry[str]]
    with os.scandir(source) as entries:
        below = list(entries)
    for entry in below:
        place = os.path.join(target, entry.name)
        if entry.is_dir(follow_symlinks=False):
            _copy_tree(entry.path, place)
            continue
        try:
            os.link(entry.path, place, follow_symlinks=False)
        except OSError:
            _copy_one(entry, place)
    info = os.lstat(source)
    os.chown(target, info.st_uid, info.st_gid)
    shutil.copystat(source, target)


def _copy_one(entry: os.DirEntry[str], place: str) -> None:
    info = entry.stat(follow_symlinks=False)
    shutil.copy2(entry.path, place, follow_symlinks=False)
    os.chown(place, info.st_uid, info.st_gid, follow_symlinks=False)
    shutil.copystat(entry.path, place, follow_symlinks=False)


def _carry_out(place: str, change: Change, accounts: Accounts) -> None:
    """Make one change at a place that nobody reads yet, never through an inode that is live."""
    before, after = change.before, change.after
    if after is None:
        if before is not None and before.kind == DIRECTORY:
            os.rmdir(place)
        else:
            os.unlink(place)
    elif after.kind == DIRECTORY and before is not None:
        set_access(place, after, accounts)
    else:
        if before is not None:
            os.unlink(place)
        create(place, after, accounts)
