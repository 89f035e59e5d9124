# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a service's own checker on a set that is not live yet, as if it were.

A forked child takes a mount namespace of its own, lays the staged set over the final paths there and runs the
commands. The host's own tree is never touched, and the view ends with the child, however that ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import stat
import subprocess
import tempfile
from typing import Any, Callable, NamedTuple, Sequence

from ansible_collections.minato.fleet.plugins.module_utils._config_tree_host import Accounts, create
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_plan import FILE, LINK, Change

_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18


class Command(NamedTuple):
    """A command that ran: `output` holds what it wrote, to either stream, in that order."""

    command: str
    rc: int
    output: str

    def __str__(self) -> str:
        """Show it the way a person would report it."""
        return f"`{self.command}` (rc {self.rc}): {self.output.strip() or 'no output'}"


class Verdict(NamedTuple):
    """What became of a validation. `refused` says why no private view could be had; then nothing was run."""

    failed: Command | None = None
    refused: str = ""


def execute(command: str) -> Command:
    """Run one command without a shell. What it leaves running in the background is not waited for."""
    path = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
    with tempfile.TemporaryFile() as output:
        try:
            rc = subprocess.call(
                shlex.split(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": path},
            )
        except (OSError, ValueError) as error:
            return Command(command, 127, str(error))
        output.seek(0)
        return Command(command, rc, output.read().decode("utf-8", "replace"))


def first_failure(commands: Sequence[str]) -> Command | None:
    """Run commands until one fails; returns that one."""
    for command in commands:
        done = execute(command)
        if done.rc != 0:
            return done
    return None


def validate(commands: Sequence[str], lay_out: Callable[[], None], in_child: Callable[[], None]) -> Verdict:
    """Run commands in a private view that `lay_out` prepares. `in_child` is called first in the child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            in_child()
            os.write(writer, json.dumps(_in_private(commands, lay_out)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    if not said:
        return Verdict(failed=Command(commands[0], 1, "the validating process was killed"))
    report: dict[str, Any] = json.loads(said)
    return Verdict(Command(*report["failed"]) if report["failed"] else None, report["refused"])


def _in_private(commands: Sequence[str], lay_out: Callable[[], None]) -> dict[str, Any]:
    try:
        _check(_libc().unshare(_CLONE_NEWNS), "unshare")
        mount("none", "/", "", _MS_REC | _MS_PRIVATE)
        lay_out()
    except (OSError, AttributeError) as error:
        return {"failed": None, "refused": str(error)}
    return {"failed": first_failure(commands), "refused": ""}


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str = "", flags: int = _MS_BIND | _MS_REC, options: str = "") -> None:
    """Call mount(2); a recursive bind unless told otherwise. Raises OSError."""
    status = _libc().mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _check(status, f"mount {target}")


def lay_directory(staged: str, directory: str) -> None:
    """Show a staged directory at its final place."""
    mount(staged, directory)


def lay_files(changes: Sequence[Change], scratch: str, accounts: Accounts) -> None:
    """Show changed paths at their final places, over the directories that hold them.

    `scratch` is an empty directory. A file that stays a file gets its new content bound over it. A directory in
    which names come or go is replaced by a memory file system, with all that stays bound into it. The access
    rights of a directory that stays are shown as they are.
    """
    mount("tmpfs", scratch, "tmpfs", 0, "mode=0700")
    renamed: dict[str, list[Change]] = {}
    for change in changes:
        if not _same_kind(change) and os.path.isdir(os.path.dirname(change.path)):
            renamed.setdefault(os.path.dirname(change.path), []).append(change)
    for number, holder in enumerate(sorted(renamed)):
        if os.path.isdir(holder):  # else it went with a directory above it
            _rebuild(holder, os.path.join(scratch, f"below{number}"), {change.path for change in renamed[holder]})
    for number, change in enumerate(changes):
        if change.after is None:
            continue
        if not _same_kind(change):
            create(change.path, change.after, accounts)
        elif change.after.kind == FILE:
            staged = os.path.join(scratch, f"file{number}")
            create(staged, change.after, accounts)
            mount(staged, change.path)


def _same_kind(change: Change) -> bool:
    """Say whether the name stays and keeps its kind (a link counts as a new name: nothing can be bound over one)."""
    before, after = change.before, change.after
    return before is not None and after is not None and before.kind == after.kind != LINK


def _rebuild(holder: str, below: str, skipped: set[str]) -> None:
    """Replace a directory by a memory file system that shows all of it except `skipped`."""
    if holder == "/":
        raise OSError("the root directory cannot be shown changed")
    info = os.stat(holder)
    os.mkdir(below)
    mount(holder, below)
    mount("tmpfs", holder, "tmpfs", 0, f"mode={stat.S_IMODE(info.st_mode):o},uid={info.st_uid},gid={info.st_gid}")
    with os.scandir(below) as entries:
        for entry in entries:
            shown = os.path.join(holder, entry.name)
            if shown in skipped:
                continue
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), shown)
                continue
            if entry.is_dir():
                os.mkdir(shown)
            else:
                os.close(os.open(shown, os.O_WRONLY | os.O_CREAT, 0o600))
            mount(entry.path, shown)
