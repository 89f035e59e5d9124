# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host shows of itself for its security checklist. Reads only."""

from __future__ import annotations

import glob
import grp
import os
import pwd
import re
import stat
import tempfile
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, Mapping, Sequence, Tuple

from ansible_collections.minato.fleet.plugins.module_utils import _security_check as rules
from ansible_collections.minato.fleet.plugins.module_utils._certificates import X509_ARGUMENTS, read
from ansible_collections.minato.fleet.plugins.module_utils._processes import UnseenError, working_directory

Json = Dict[str, Any]
RunCommand = Callable[..., Tuple[int, str, str]]

LOG_BYTES = 4 << 20  # of the end of each log
JOURNAL_LINES = 20000
LISTS = "/var/lib/apt/lists"
REBOOT = "/run/reboot-required"


class Host:
    """Runs the checklist on this host; `run_command` is AnsibleModule's."""

    def __init__(self, run_command: RunCommand) -> None:
        self._run = run_command
        self._names: dict[int, str] = {}

    def findings(
        self, apps: Sequence[Json], certificates: Sequence[Json], ports: Sequence[Json]
    ) -> list[rules.Finding]:
        """Return every line of the checklist."""
        found: list[rules.Finding] = []
        for each in certificates:
            found += self._certificate(each)
        for app in apps:
            found += self._app(app)
        found.append(rules.listeners(self._listeners(), [(port["protocol"], port["port"]) for port in ports]))
        found += self._packages()
        found.append(self._ssh())
        return found

    def _certificate(self, wanted: Json) -> list[rules.Finding]:
        chain, key = (os.path.join(wanted["directory"], name) for name in ("fullchain.pem", "privkey.pem"))
        rc, out, _err = self._run(["openssl", "x509", "-in", chain, *X509_ARGUMENTS])
        now = datetime.now(timezone.utc)
        if rc:
            found = [rules.certificate(wanted["name"], None, False, now)]
        else:
            seen = read(out)
            found = [rules.certificate(wanted["name"], seen.not_after, seen.self_signed, now)]
        if os.path.exists(key):
            found.append(rules.key(self._path(os.path.realpath(key)), wanted["key_group"]))
        return found

    def _app(self, app: Json) -> list[rules.Finding]:
        found: list[rules.Finding] = []
        leaks: list[tuple[str, str]] = []
        for path in app["env_files"]:
            if not os.path.exists(path):
                continue
            found.append(rules.env_file(self._path(path), app["user"]))
            with open(path, encoding="utf-8", errors="replace") as stream:
                secrets = rules.secret_values(stream.read(), app["secrets"])
            leaks += [leak for leak in self._leaks(app, secrets) if leak not in leaks]
        release = os.path.join(app["home"], "current")
        if os.path.isdir(release) and app["env_name"]:
            found.append(
                rules.env_ignored(os.path.join(release, app["env_name"]), self._ignored(release, app["env_name"]))
            )
        found.append(rules.logs(app["name"], leaks))
        found += [rules.writable(self._path(path), app["user"]) for path in app["data"] if os.path.isdir(path)]
        found.append(self._owners(app["home"], app["user"]))
        found.append(rules.processes(app["name"], app["user"], self._processes(app["home"])))
        return found

    def _leaks(self, app: Json, secrets: Mapping[str, str]) -> list[tuple[str, str]]:
        texts = {path: _end_of(path) for path in sorted(glob.glob(os.path.join(app["log_dir"], "*.log*")))}
        for unit in app["units"]:
            command = ["journalctl", "--unit", unit, "--output", "cat", "--no-pager", "--lines", str(JOURNAL_LINES)]
            texts[f"the journal of {unit}"] = self._look(command)
        return [(name, place) for place, text in texts.items() for name, value in secrets.items() if value in text]

    def _ignored(self, release: str, name: str) -> bool:
        """Ask git itself, with an empty repository of its own: a release has none."""
        with tempfile.TemporaryDirectory() as empty:
            self._look(["git", "init", "--quiet", "--bare", empty])
            git = ["git", f"--git-dir={empty}", f"--work-tree={release}"]
            options = ["-c", "safe.directory=*", "-c", "core.excludesFile=/dev/null"]
            rc, _out, _err = self._run([*git, *options, "check-ignore", "--quiet", "--no-index", name], cwd=release)
        return rc == 0

    def _owners(self, home: str, user: str) -> rules.Finding:
        others: list[str] = []
        open_to_all: list[str] = []
        for parent, directories, files in os.walk(home):
            for path in [parent, *(os.path.join(parent, name) for name in [*directories, *files])]:
                try:
                    seen = os.lstat(path)
                except OSError:
                    continue
                if self._name(seen.st_uid) not in (user, "root"):
                    others.append(path)
                elif not stat.S_ISLNK(seen.st_mode) and seen.st_mode & stat.S_IWOTH:
                    open_to_all.append(path)
        return rules.owners(home, user, sorted(set(others)), sorted(set(open_to_all)))

    def _processes(self, home: str) -> dict[int, str]:
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        return {pid: self._name(uid) for pid, uid in ((pid, _runs_below(pid, home)) for pid in pids) if uid is not None}

    def _listeners(self) -> list[tuple[str, str, int, str]]:
        out = self._look(["ss", "--no-header", "--tcp", "--udp", "--listening", "--numeric", "--processes"])
        found = []
        for line in out.splitlines():
            parts = line.split()
            if len(parts) < 5:
                continue
            address, _colon, port = parts[4].rpartition(":")
            program = re.search(r'users:\(\("([^"]+)"', line)
            if port.isdigit():
                found.append((parts[0], address, int(port), program.group(1) if program else ""))
        return found

    def _packages(self) -> list[rules.Finding]:
        out = self._look(["apt-get", "--simulate", "--option", "Debug::NoLocking=true", "upgrade"])
        stamps = [os.stat(path).st_mtime for path in glob.glob(f"{LISTS}/*_Packages*") + glob.glob(f"{LISTS}/*Release")]
        age = datetime.now().timestamp() - max(os.stat(LISTS).st_mtime, *stamps) if stamps else None
        return rules.packages(out, None if age is None else timedelta(seconds=age), os.path.exists(REBOOT))

    def _ssh(self) -> rules.Finding:
        out = self._look(["/usr/sbin/sshd", "-T"])
        return rules.ssh(dict(line.split(" ", 1) for line in out.splitlines() if " " in line))

    def _look(self, command: list[str]) -> str:
        """Return what a command prints. Raises UnseenError: what could not be looked at has not passed."""
        rc, out, err = self._run(command)
        if rc:
            last = (err.strip() or out.strip() or "it said nothing").splitlines()[-1]
            raise UnseenError(f"`{' '.join(command)}` failed with exit code {rc}: {last}")
        return out

    def _path(self, path: str) -> rules.Path:
        seen = os.stat(path)
        try:
            group = grp.getgrgid(seen.st_gid).gr_name
        except KeyError:
            group = str(seen.st_gid)
        return rules.Path(path, self._name(seen.st_uid), group, stat.S_IMODE(seen.st_mode))

    def _name(self, uid: int) -> str:
        if uid not in self._names:
            try:
                self._names[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._names[uid] = str(uid)
        return self._names[uid]


def _runs_below(pid: int, home: str) -> int | None:
    """Return the user id of a process that works below a directory; None of any other, and of one that has gone.

    In a container, root may not look into a few programs that drop their rights, such as sshd; no app is one of them.
    """
    try:
        return os.stat(f"/proc/{pid}").st_uid if (working_directory(pid) + "/").startswith(home + "/") else None
    except (OSError, UnseenError):
        return None


def _end_of(path: str) -> str:
    """Return the end of a log; nothing of one that cannot be read as text."""
    with open(path, "rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - LOG_BYTES))
        return stream.read().decode("utf-8", "replace")
