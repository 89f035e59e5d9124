# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""systemd on a host: reads what `plan` needs, carries its steps out, and proves the outcome."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import time
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence, Tuple

from ansible_collections.minato.fleet.plugins.module_utils._health import complaint, in_order, wait_until_healthy, warm
from ansible_collections.minato.fleet.plugins.module_utils._memory_watch import MemoryWatch
from ansible_collections.minato.fleet.plugins.module_utils._processes import (
    TIMESTAMPS,
    UnseenError,
    parse_time,
    working_directory,
)
from ansible_collections.minato.fleet.plugins.module_utils._systemd_units import (
    DIRECTORY,
    DOWN,
    UP,
    File,
    Json,
    Note,
    Seen,
    Step,
    Unit,
    compare,
    how_it_ended,
    parse_exposure,
    parse_show,
    peaked,
    plan,
    rounds,
)

BOOKS = "/var/lib/minato/systemd_units"  # root's alone
LOG_LINES = 40
_COLD = "cold"
_PATIENCE = 30.0  # seconds beyond min_uptime and health_timeout, for a busy host
_PROPERTIES = (
    *("LoadState", "ActiveState", "SubState", "Result", "UnitFileState", "NeedDaemonReload", "MainPID", "NRestarts"),
    *("InvocationID", "ExecMainStartTimestamp", "ActiveEnterTimestamp", "ExecMainCode", "ExecMainStatus"),
    *("FragmentPath", "DropInPaths", "Slice", "MemoryMax", "MemoryPeak", "MemoryCurrent"),
)

# AnsibleModule.run_command, as far as it is used here: returns rc, stdout, stderr.
RunCommand = Callable[..., Tuple[int, str, str]]


class FailedError(Exception):
    """Something on the host went wrong. `facts` go into the task's result."""

    def __init__(self, message: str, **facts: Any) -> None:
        """Keep the facts beside the message."""
        super().__init__(message)
        self.facts = facts


class Failure(NamedTuple):
    """A unit that did not come up: a sentence, and the end of its journal."""

    unit: Unit
    what: str
    log: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as a paragraph for people."""
        shown = "\n".join(self.log) or "(nothing)"
        return f"unit {self.unit.name} {self.what}. The end of its journal:\n{shown}"


class Host:
    """The units of one set on this host."""

    def __init__(self, run_command: RunCommand, name: str, check_mode: bool) -> None:
        """Take the way to run a command, and the name of the set."""
        self._run_command = run_command
        self._books = f"{BOOKS}/{name}.json"
        self._check_mode = check_mode
        self._book: Json = _read(self._books)
        self._peaks: dict[str, int] = {}  # bytes, while a unit starts
        self._complaints: dict[str, list[str]] = {}  # while a unit starts
        self._warm: set[str] = set()
        self._shown: dict[str, dict[str, str]] = {}  # as last read

    # Reading

    def resolve(self, units: Sequence[Unit]) -> list[Unit]:
        """Return the units with the real path of their working directory. Raises FailedError where there is none."""
        found = []
        for unit in units:
            real = os.path.realpath(unit.cwd) if unit.cwd else ""
            if unit.started and real and not os.path.isdir(real) and not self._check_mode:
                raise FailedError(
                    f"unit {unit.name}: working_directory {unit.cwd} leads to no directory: put a release there first"
                )
            found.append(unit._replace(cwd=real))
        return found

    def owned(self) -> list[str]:
        """Return the units that earlier runs of this set put on the host."""
        return sorted(self._book.get("units", {}))

    def read(self, units: Sequence[Unit], written: Iterable[str] = ()) -> dict[str, Seen]:
        """Return each unit as it is. `written` are paths that are about to be written, in check mode."""
        gone = set(self.owned()) - {unit.name for unit in units}
        everything = [*units, *(Unit(name, app="") for name in sorted(gone))]
        self._shown = self.show([unit.name for unit in everything])
        return {unit.name: self._seen(unit, self._shown[unit.name], set(written)) for unit in everything}

    def show(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return systemd's properties of each unit."""
        if not names:
            return {}
        said = self._run(
            ["systemctl", "show", f"--timestamp={TIMESTAMPS}", f"--property={','.join(_PROPERTIES)}", "--", *names]
        )
        return parse_show(said, names)

    def _working_directory(self, pid: int) -> str:
        try:
            return working_directory(pid)
        except UnseenError as error:
            raise FailedError(str(error)) from None

    def _seen(self, unit: Unit, shown: Mapping[str, str], written: set[str]) -> Seen:
        linked = shown.get("UnitFileState") == "enabled"
        if shown.get("LoadState") == "not-found":
            linked = bool(_links(unit.name))
            if shown.get("ActiveState") in DOWN:
                return Seen(enabled=linked)
        main = int(shown.get("MainPID") or 0)
        started = parse_time(shown.get("ExecMainStartTimestamp") or shown.get("ActiveEnterTimestamp") or "")
        note = self._book.get("units", {}).get(unit.name, {})
        return Seen(
            active=shown.get("ActiveState", "absent"),
            sub=shown.get("SubState", ""),
            result=shown.get("Result", ""),
            enabled=linked,
            needs_reload=shown.get("NeedDaemonReload") == "yes",
            cwd=self._working_directory(main) if main and shown["ActiveState"] in UP else "",
            invocation=shown.get("InvocationID", ""),
            started=started,
            uptime=time.time() - started,
            restarts=int(shown.get("NRestarts") or 0),
            files={
                path: File("about to change", time.time()) if path in written else look(path)
                for path in {*unit_files(shown), *unit.restart_on, *(written & set(unit.paths))}
            },
            note=Note(note.get("invocation", ""), note.get("files", {})),
        )

    def strangers(self, units: Sequence[Unit]) -> list[str]:
        """Return drop-ins that somebody else gave the units, and that win over what is written here."""
        found: set[str] = set()
        for unit in units:
            paths = self._shown[unit.name].get("DropInPaths", "").split()
            found.update(path for path in paths if path not in unit.paths and path.startswith(("/etc/", "/run/")))
        return sorted(found)

    def exposure(self, units: Sequence[Unit]) -> dict[str, float]:
        """Return the score of each app's service in `systemd-analyze security`; asked anew where a file changed."""
        services = {unit.app: unit for unit in reversed(units) if unit.name.endswith(".service")}
        states = {
            app: {path: look(path).digest for path in unit_files(self._shown[unit.name])}
            for app, unit in services.items()
        }
        known: Json = self._book.get("exposure", {})
        stale = [app for app in services if known.get(app, {}).get("files") != states[app] and states[app]]
        scores = {app: known[app]["score"] for app in services if app in known and app not in stale}
        if stale and not self._check_mode:
            names = {services[app].name: app for app in stale}
            said = parse_exposure(self._run(["systemd-analyze", "security", "--no-pager", *names], any_rc=True))
            scores.update({names[unit]: score for unit, score in said.items() if unit in names})
        self._book["exposure"] = {app: {"files": states[app], "score": score} for app, score in scores.items()}
        return {app: scores[app] for app in sorted(scores)}

    # Changing

    def apply(self, units: Sequence[Unit], steps: Sequence[Step]) -> list[Failure]:
        """Carry out the steps. Returns the units that did not come up; the other apps' go on."""
        for action, command in (("retire", "stop"), ("stop", "stop"), ("disable", "disable"), ("enable", "enable")):
            if action == "retire" and any(step.action == "reload" for step in steps):
                self._run(["systemctl", "daemon-reload"])
            names = [step.unit for step in steps if step.action == action]
            if names:
                # One that is only linked, and has no file any more, cannot be stopped.
                self._run(["systemctl", command, "--", *names], any_rc=action == "retire")
            if names and action == "retire":
                self._forget(names)
        failures: list[Failure] = []
        for turn in rounds(steps, units):
            lost = {failure.unit.app for failure in failures}
            failures += self._start([unit for _step, unit in turn if unit.app not in lost])
        return failures

    def _forget(self, names: Sequence[str]) -> None:
        """See units stopped whose files are gone already, and remove what would start them at boot."""
        up = [name for name, shown in self.show(names).items() if shown.get("ActiveState") not in DOWN]
        if up:
            raise FailedError(f"{', '.join(up)}: not wanted any more, but systemctl stop did not end it")
        links = [link for name in names for link in _links(name)]
        for link in links:
            os.unlink(link)
        self._run(["systemctl", "reset-failed", "--", *names], any_rc=True)
        if links:
            self._run(["systemctl", "daemon-reload"])

    def _start(self, units: Sequence[Unit]) -> list[Failure]:
        if not units:
            return []
        names = [unit.name for unit in units]
        # Before the start: what changes while it starts is to be noticed by the next run.
        shown = self.show(names)
        read = {
            unit.name: {path: look(path).digest for path in {*unit_files(shown[unit.name]), *unit.restart_on}}
            for unit in units
        }
        began = time.time()
        self._run(["systemctl", "reset-failed", "--", *names], any_rc=True)
        with MemoryWatch({name: shown[name].get("Slice", "") for name in names}, self._peaks):
            self._run(["systemctl", "restart", "--", *names], any_rc=True)  # one that fails is judged by what it left
            failures = self._prove(units, began)
        failed = {failure.unit.name for failure in failures}
        for name, shown_now in self.show(names).items():
            if name not in failed:
                self._book.setdefault("units", {})[name] = {
                    "invocation": shown_now.get("InvocationID", ""),
                    "files": read[name],
                }
        return failures

    def _prove(self, units: Sequence[Unit], began: float) -> list[Failure]:
        """Watch units until each has stayed up for its min_uptime and is well; returns those that did not."""
        pending, failures = list(units), []
        while pending:
            shown = self.show([unit.name for unit in pending])
            verdicts = {unit: self._judge(unit, shown[unit.name], began) for unit in pending}
            undecided = ("", _COLD)
            failures += [
                Failure(unit, what, log) for unit, (what, log) in verdicts.items() if what not in ("up", *undecided)
            ]
            pending = [unit for unit, (what, _log) in verdicts.items() if what in undecided]
            cold = [unit for unit in pending if unit.warm_up_url and unit.name not in self._warm]
            if cold and all(verdicts[unit][0] == _COLD for unit in cold):  # those of an app together
                warm([unit.warm_up_url for unit in cold])
                self._warm.update(unit.name for unit in cold)
            elif pending:
                time.sleep(0.2)
        return failures

    def _judge(self, unit: Unit, shown: Mapping[str, str], began: float) -> tuple[str, tuple[str, ...]]:
        """Say `up`, nothing while it has still to prove itself, or why it is not up, with the end of its journal.

        One that is well, and has still to be warmed up, is `_COLD`.
        """
        for key in ("MemoryPeak", "MemoryCurrent"):
            if shown.get(key, "").isdigit() and int(shown[key]) < 1 << 60:
                self._peaks[unit.name] = max(self._peaks.get(unit.name, 0), int(shown[key]))
        active = shown.get("ActiveState", "absent")
        ended = active in DOWN or shown.get("SubState") == "auto-restart" or int(shown.get("NRestarts") or 0) > 0
        if ended:
            log = self.journal(unit.name, began)
            where = f"; it was started in {unit.cwd}" if unit.cwd else ""
            return how_it_ended(shown, log, self._peaks.get(unit.name, 0)) + where, log
        up = active in UP
        wrong = complaint(unit.health_url) if up and unit.health_url else ""
        if up and unit.warm_up_url and not wrong and unit.name not in self._warm:
            return _COLD, ()
        if up and int(shown.get("MainPID") or 0):
            up = time.time() - parse_time(shown.get("ExecMainStartTimestamp", "")) >= unit.min_uptime
        if up and not wrong:
            return "up", ()
        waited = time.time() - began
        if wrong:
            self._complaints.setdefault(unit.name, []).append(wrong)
        if wrong and waited > unit.health_timeout:
            what = f"is up, but cannot do its work: within {waited:.0f} s {unit.health_url} answered with "
            what += in_order(self._complaints[unit.name]) + peaked(self._peaks.get(unit.name, 0))
            return what, self.journal(unit.name, began)
        if waited > unit.min_uptime + unit.health_timeout + _PATIENCE:
            return f"was not up within {waited:.0f} s: it is {active}", self.journal(unit.name, began)
        return "", ()

    def ask(self, units: Iterable[Unit]) -> list[Failure]:
        """Ask units that have a health_url whether they can do their work; returns those that cannot."""
        failures = []
        for unit in units:
            wrong = wait_until_healthy(unit.health_url, unit.health_timeout) if unit.health_url else ""
            if wrong:
                what = f"is up, but cannot do its work: {unit.health_url} answered with {wrong}"
                failures.append(Failure(unit, what, self.journal(unit.name, 0)))
        return failures

    def journal(self, name: str, since: float) -> tuple[str, ...]:
        """Return the last lines that a unit, and systemd about it, wrote since a time."""
        service = re.sub(r"\.socket$", ".service", name)
        self._run(["journalctl", "--sync"], any_rc=True)
        scope = [f"--lines={LOG_LINES}", f"--since=@{int(since)}", f"--unit={service}"]
        said = self._run(["journalctl", "--no-pager", "--quiet", "--output=cat", *scope], any_rc=True)
        return tuple(said.splitlines())

    def left(self, units: Sequence[Unit], failures: Sequence[Failure]) -> list[Step]:
        """Read the host again. Returns what is not as wanted after all, apart from the apps that failed."""
        lost = {failure.unit.app for failure in failures}
        return plan(self.read(units), [unit for unit in units if unit.app not in lost], ())

    def remember(self, units: Sequence[Unit]) -> None:
        """Write down which units this host has, and what the processes have read, as last found."""
        notes = {}
        for unit in units:
            found = self._seen(unit, self._shown[unit.name], set())
            known = self._book.get("units", {}).get(unit.name, {})
            if found.active in UP and known.get("invocation") != found.invocation and not compare(unit, found):
                files = {path: file.digest for path, file in found.files.items()}
                known = {"invocation": found.invocation, "files": files}
            notes[unit.name] = known
        self._book["units"] = notes
        if self._book != _read(self._books):
            _write(self._books, self._book)

    def _run(self, command: list[str], any_rc: bool = False) -> str:
        rc, stdout, stderr = self._run_command(command)
        if rc and not any_rc:
            last = (stderr.strip() or stdout.strip() or "it said nothing").splitlines()[-1]
            raise FailedError(f"`{' '.join(command)}` failed with exit code {rc}: {last}", command=command, rc=rc)
        return str(stdout)


def unit_files(shown: Mapping[str, str]) -> list[str]:
    """Return the files that systemd made a unit of."""
    return [path for path in [shown.get("FragmentPath", ""), *shown.get("DropInPaths", "").split()] if path]


def look(path: str) -> File:
    """Return a file as it is; a link is followed."""
    try:
        with open(path, "rb") as stream:
            return File(hashlib.sha256(stream.read()).hexdigest(), os.fstat(stream.fileno()).st_ctime)
    except (FileNotFoundError, NotADirectoryError):
        return File("absent")
    except IsADirectoryError:
        raise FailedError(f"{path} is a directory: write under restart_on the files that the app reads") from None


def _links(name: str) -> list[str]:
    """Return the links that start a unit at boot."""
    found = glob.glob(f"{DIRECTORY}/*.wants/{glob.escape(name)}") + glob.glob(
        f"{DIRECTORY}/*.requires/{glob.escape(name)}"
    )
    return sorted(found)


def _read(path: str) -> Json:
    """Return what an earlier run wrote, nothing where there is nothing to read."""
    try:
        with open(path, encoding="utf-8") as stream:
            return dict(json.load(stream))
    except (OSError, ValueError):
        return {}


def _write(path: str, value: Any) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=2, sort_keys=True)
    os.replace(path + ".new", path)
