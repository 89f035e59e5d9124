# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A place to play: a live directory, a set that owns part of it, and a service that loads it."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
import signal
import stat
import subprocess
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from ansible_collections.minato.fleet.plugins.module_utils import _config_tree as config_tree
from ansible_collections.minato.fleet.plugins.module_utils import _config_tree_swap as swap

OWNER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name
STEPS = ("rename", "link", "unlink", "mkdir", "rmdir", "chown", "fchown", "fchmod", "symlink", "open", "fsync", "utime")

Snapshot = dict[str, tuple[str, int, str]]


class Place:
    """`live` is what the set is about, `loaded` what the service last read; `whole` swaps by one rename."""

    def __init__(self, base: Path, whole: bool) -> None:
        self.live = base / "etc" / "service"
        self.root = base / "state"
        self.loaded = base / "loaded"
        self.whole = whole
        self.warnings: list[str] = []
        self.live.mkdir(parents=True)

    @property
    def reload(self) -> str:
        """Return the command that `service` understands."""
        return f"reload {shlex.quote(str(self.live))} {shlex.quote(str(self.loaded))}"

    def path(self, name: str) -> str:
        """Return the absolute path of a name in the live directory."""
        return str(self.live / name)

    def params(
        self,
        files: Mapping[str, str | Mapping[str, Any]],
        links: Mapping[str, str] | None = None,
        directories: Mapping[str, str] | None = None,
        absent: Iterable[str] = (),
        validate: Iterable[str] = (),
        reload: str | None = None,
        confirm_within: int = 0,
    ) -> dict[str, Any]:
        """Return what the module would get, for names relative to the live directory."""
        access = {"owner": OWNER, "group": GROUP}
        entries = []
        for name, given in files.items():
            more = {"content": given} if isinstance(given, str) else dict(given)
            entries.append({"path": self.path(name), "mode": "0644", "secret": False, **access, **more})
        return {
            "name": "service",
            "directory": str(self.live) if self.whole else None,
            "files": entries,
            "directories": [{"path": self.path(n), "mode": m, **access} for n, m in (directories or {}).items()],
            "links": [{"path": self.path(name), "target": target} for name, target in (links or {}).items()],
            "absent": [self.path(name) for name in absent],
            "validate": list(validate),
            "reload": self.reload if reload is None else reload,
            "confirm_within": confirm_within,
            "secrets": {},
        }

    def run(self, check: bool = False, **wanted: Any) -> dict[str, Any]:
        """Run the module's work once."""
        return config_tree.run(self.params(**wanted), check, True, self.warnings.append, str(self.root))

    def snapshot(self, of: Path | None = None) -> Snapshot:
        """Return kind, mode and content of everything in the live directory."""
        top = of or self.live
        seen: Snapshot = {}
        for folder, folders, files in os.walk(top):
            for name in folders + files:
                path = Path(folder, name)
                info = path.lstat()
                if stat.S_ISLNK(info.st_mode):
                    node = ("link", 0, os.readlink(path))
                elif stat.S_ISDIR(info.st_mode):
                    node = ("directory", stat.S_IMODE(info.st_mode), "")
                else:
                    node = ("file", stat.S_IMODE(info.st_mode), path.read_text())
                seen[str(path.relative_to(top))] = node
        return seen

    def leftovers(self) -> list[str]:
        """Return whatever a finished run should have tidied away."""
        books = self.root / "service"
        found = [str(books / name) for name in ("journal.json", "old") if (books / name).exists()]
        found += [str(path) for path in self.live.parent.rglob(".*minato*")]
        return found

    def is_loaded(self) -> bool:
        """Say whether the service runs what is live."""
        return self.snapshot() == self.snapshot(self.loaded)


def service(command: list[str], stdout: IO[bytes], **more: Any) -> int:
    """Stand in for `subprocess.call`: a service that loads its directory, and refuses one with `bad` in it."""
    if command[0] != "reload":
        return subprocess.Popen(command, stdout=stdout, **more).wait()
    live, loaded = map(Path, command[1:])
    for path in sorted(live.rglob("*")):
        if path.is_file() and not path.name.endswith("~") and "bad" in path.read_text():
            stdout.write(f"{path}:1: bad".encode())
            return 1
    shutil.rmtree(loaded, ignore_errors=True)
    shutil.copytree(live, loaded, symlinks=True)
    return 0


def killed_at(step: int, action: Callable[[], object]) -> bool:
    """Run an action in a process of its own and kill that process before its n-th step; False: it ended before."""
    child = os.fork()
    if child == 0:
        try:
            _arm(step)
            action()
        except (config_tree.RunError, config_tree.InputError):
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(3)
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the run crashed"
    return os.WIFSIGNALED(status)


def _arm(step: int) -> None:
    """Count every call that changes a disk or starts a command, and die instead of making the n-th."""
    process, left = os.getpid(), [step]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if os.getpid() == process:  # a validator's own process is not the one under test
                left[0] -= 1
                if left[0] == 0:
                    os.kill(process, signal.SIGKILL)
            return call(*args, **kwargs)

        return wrapper

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    swap.exchange = counted(swap.exchange)
    subprocess.call = counted(subprocess.call)
