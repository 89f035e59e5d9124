# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PM2 on a host: reads what `plan` needs, carries its steps out, and proves the outcome.

Every call of PM2's command line is made as the app's user with a minimal environment, because PM2 hands the environment
of its caller on to what it starts. It is never called where no daemon answers: it would start one of its own, outside
systemd.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import pwd
import re
import socket
import time
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence, Tuple

from ansible_collections.minato.fleet.plugins.module_utils._pm2 import (
    ABSENT,
    DAEMON,
    INSTALL,
    PHASES,
    App,
    Current,
    Daemon,
    Json,
    Process,
    Step,
    Wanted,
    check,
    compare,
    declaration,
    observe,
    parse_jlist,
    plan,
    unready,
    wanted_app,
)
from ansible_collections.minato.fleet.plugins.module_utils._processes import (
    TIMESTAMPS,
    UnseenError,
    memory_peak,
    parse_time,
    working_directory,
)

REGISTRY = "/var/lib/minato/pm2/apps.json"
UNREADY = "/var/lib/minato/pm2/unready.json"  # processes that never said that they are ready
LOG_LINES = 40
_PROPERTIES = "Id,ActiveState,MainPID,UnitFileState,NeedDaemonReload,ExecMainStartTimestamp,FragmentPath,DropInPaths"

# AnsibleModule.run_command, as far as it is used here: returns rc, stdout, stderr.
RunCommand = Callable[..., Tuple[int, str, str]]


class FailedError(Exception):
    """Something on the host went wrong. `facts` (command, rc, stdout, stderr, ...) go into the task's result."""

    def __init__(self, message: str, **facts: Any) -> None:
        """Keep the facts beside the message."""
        super().__init__(message)
        self.facts = facts


class Account(NamedTuple):
    """A user as far as running a command needs it."""

    name: str
    gid: int
    home: str


def unit_name(user: str) -> str:
    """Return the systemd unit of a user's daemon."""
    return f"pm2@{user}.service"


def digest(path: str) -> str:
    """Return the SHA-256 of a file in hex, `absent` where there is none."""
    try:
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except FileNotFoundError:
        return "absent"


class Host:
    """PM2 on this host."""

    def __init__(self, run_command: RunCommand, prefix: str, node_bin: str) -> None:
        """Take the way to run a command, where PM2 is (or will be) installed, and the bin directory of its node."""
        self._run_command = run_command
        self._prefix = prefix
        self._node_bin = node_bin
        self._peaks: dict[str, int] = {}  # bytes, by the app's name, while it starts
        self._listed: dict[str, str] = {}  # what `pm2 jlist` said, by user, until something is done: each call costs

    # Reading

    def wanted(self, version: str, apps: Sequence[Json], check_mode: bool) -> Wanted:
        """Resolve what is asked for against this host: links, users, files. Raises RefusedError or FailedError."""
        check(apps, self._node_bin)
        by_user: dict[str, list[App]] = {}
        for app in apps:
            account = self._account(app["user"])
            cwd = os.path.realpath(app["cwd"])
            if not check_mode:
                if account is None:
                    raise FailedError(f"app {app['name']}: there is no user {app['user']} on this host: make it first")
                if not os.path.isdir(cwd):
                    raise FailedError(
                        f"app {app['name']}: {app['cwd']} leads to no directory: put a release there first"
                    )
                if not os.path.exists(app["node"]):
                    raise FailedError(f"app {app['name']}: there is no node at {app['node']}: install it first")
            digests = {path: digest(path) for path in app["restart_on"]}
            by_user.setdefault(app["user"], []).append(wanted_app(app, cwd, account.home if account else "", digests))
        return Wanted(version, by_user)

    def read(self, homes: Mapping[str, str]) -> Current:
        """Return the host as it is. `homes` holds the PM2 home of each wanted user; others' daemons are found, too."""
        known = {app["user"] for app in self.registry().values()}
        linked = {
            re.sub(r"^.*/pm2@|\.service$", "", path) for path in glob.glob("/etc/systemd/system/*.wants/pm2@*.service")
        }
        units = self._units(sorted({*homes, *known, *linked}))
        daemons = {
            user: self._daemon(user, units[unit_name(user)], homes.get(user, "")) for user in {*homes, *known, *linked}
        }
        return Current(self.version(), daemons)

    def version(self) -> str:
        """Return the version of PM2 that is installed whole, empty for none."""
        try:
            with open(f"{self._prefix}/lib/node_modules/pm2/package.json", encoding="utf-8") as stream:
                found = str(json.load(stream)["version"])
        except (OSError, ValueError, KeyError):
            return ""
        return found if os.path.exists(f"{self._prefix}/bin/pm2") else ""  # npm makes that link last

    def processes(self, user: str, home: str) -> tuple[Process, ...]:
        """Ask a user's daemon, which must be there, for its processes."""
        output = self._listed.get(user) or self._pm2(user, home, "jlist")
        self._listed[user] = output
        try:
            entries = parse_jlist(output)
        except ValueError as error:
            raise FailedError(f"pm2 jlist of user {user}: {error}", stdout=output) from error
        found = [observe(entry, self._working_directory(int(entry.get("pid") or 0))) for entry in entries]
        silent = _read(UNREADY, [])
        return tuple(process._replace(ready=process.key not in silent) for process in found if process is not None)

    def registry(self) -> dict[str, Json]:
        """Return the apps that earlier runs put on this host: {name: {user, pm2_home, cwd, log_dir}}."""
        return dict(_read(REGISTRY, {}))

    def leavings(self, wanted: Wanted) -> list[Json]:
        """Return what apps that are no longer wanted left behind: [{app, user, paths}]."""
        apps = [app for each in wanted.apps.values() for app in each]
        names, logs = {app.name for app in apps}, {os.path.dirname(app.fields["out_file"]) for app in apps}
        found = []
        for name, app in sorted(self.registry().items()):
            # What ran beside another process of the same app has left nothing that is not in use.
            if name in names or app["log_dir"] in logs:
                continue
            paths = [app["cwd"], app["log_dir"]]
            if app["user"] not in wanted.apps:
                account = self._account(app["user"])
                paths += [app["pm2_home"], *([account.home] if account else [])]
            found.append({"app": name, "user": app["user"], "paths": [path for path in paths if os.path.exists(path)]})
        return [each for each in found if each["paths"]]

    def remember(self, wanted: Wanted, apps: Sequence[Json], leavings: Sequence[Json]) -> None:
        """Write down which apps this host has, so that one taken off the list is noticed later."""
        before = self.registry()
        after = {app["name"]: {key: app[key] for key in ("user", "pm2_home", "cwd", "log_dir")} for app in apps}
        after.update({each["app"]: before[each["app"]] for each in leavings})
        if before != after:
            _write(REGISTRY, after)

    def _account(self, user: str) -> Account | None:
        try:
            found = pwd.getpwnam(user)
        except KeyError:
            return None
        if found.pw_uid == 0:
            raise FailedError(f"user {user} is root under another name (uid 0): give the app a user of its own")
        return Account(user, found.pw_gid, found.pw_dir)

    def _working_directory(self, pid: int) -> str:
        try:
            return working_directory(pid) if pid else ""
        except UnseenError as error:
            raise FailedError(str(error)) from None

    def _units(self, users: Iterable[str]) -> dict[str, dict[str, str]]:
        names = [unit_name(user) for user in users]
        if not names:
            return {}
        output = self._run(["systemctl", "show", f"--timestamp={TIMESTAMPS}", f"--property={_PROPERTIES}", *names])
        blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in output.strip().split("\n\n")]
        return dict(zip(names, blocks))  # systemd answers in the order it was asked

    def _daemon(self, user: str, unit: Mapping[str, str], home: str) -> Daemon:
        main_pid = int(unit.get("MainPID") or 0)
        active = unit.get("ActiveState") == "active" and main_pid > 0
        enabled = unit.get("UnitFileState") == "enabled"
        if not home:  # of a user who has no app any more: only whether it is still there matters
            return Daemon(active=unit.get("ActiveState") not in ("inactive", "failed"), enabled=enabled)
        title = re.match(r"PM2 v([^:]+): God Daemon", _command_line(main_pid)) if active else None
        outdated = ""
        if active and not _answers(f"{home}/rpc.sock"):
            outdated = "deaf"
        elif active and self._unit_changed(unit):
            outdated = "older than its unit file"
        saved, private = _saved(home)
        return Daemon(
            active=active,
            enabled=enabled,
            needs_reload=unit.get("NeedDaemonReload") == "yes",
            version=title.group(1) if title else "",
            outdated=outdated,
            foreign=_foreign(home, main_pid),
            processes=self.processes(user, home) if active and outdated != "deaf" and self.version() else (),
            saved=saved,
            saved_private=private,
        )

    def _unit_changed(self, unit: Mapping[str, str]) -> bool:
        paths = [unit.get("FragmentPath", ""), *unit.get("DropInPaths", "").split()]
        written = max((os.stat(path).st_mtime for path in paths if path and os.path.exists(path)), default=0.0)
        return written > parse_time(unit.get("ExecMainStartTimestamp", ""))

    # Changing

    def apply(
        self, wanted: Wanted, homes: Mapping[str, str], left: Sequence[Step], started: Callable[[str], None]
    ) -> list[Step]:
        """Carry out the plan `left` phase by phase; then prove that nothing is left to do.

        `started` is called with the name of each app that was started, while its min_uptime runs.

        What runs shows only once PM2 is installed, and a daemon that comes up brings the saved list back: the plan is
        made anew then.
        Returns the steps that were taken; raises FailedError.
        """
        taken: list[Step] = []
        for phase in PHASES:
            due = [step for step in left if step.action in phase]
            for step in due:
                taken.append(step)
                try:
                    self._take(step, wanted)
                except FailedError as error:
                    error.facts["steps"] = [str(each) for each in taken]
                    raise
            if "start" in phase:
                for step in due:
                    if step.action == "start":
                        started(step.app)
                self._prove({(step.user, step.app) for step in due}, wanted)
            if due and phase in (INSTALL, DAEMON):
                left = plan(self.read(homes), wanted)
        left = plan(self.read(homes), wanted)
        if left:
            raise FailedError(
                "PM2 does not run what it was told to: " + "; ".join(str(step) for step in left),
                steps=[str(step) for step in taken],
            )
        return taken

    def _take(self, step: Step, wanted: Wanted) -> None:
        if step.action == "install":
            self._install(wanted.version)
        elif step.action == "reload":
            self._run(["systemctl", "daemon-reload"])
        elif step.action in ("start_daemon", "restart_daemon"):
            self._listed.pop(step.user, None)
            self._run(["systemctl", "reset-failed", unit_name(step.user)], any_rc=True)
            self._run(["systemctl", "restart", unit_name(step.user)])
        elif step.action == "enable":
            self._run(["systemctl", "enable", unit_name(step.user)])
        elif step.action == "retire":
            self._run(["systemctl", "disable", "--now", unit_name(step.user)])
        else:
            self._take_pm2(step, wanted.apps[step.user])

    def _take_pm2(self, step: Step, apps: Sequence[App]) -> None:
        home = apps[0].pm2_home
        if step.action == "evict":
            self._pm2(step.user, home, "kill")
        elif step.action == "remove":
            self._delete(step.user, home, step.app)
        elif step.action == "save":
            self._pm2(step.user, home, "save", "--force")
            for path in (f"{home}/dump.pm2", f"{home}/dump.pm2.bak"):
                if os.path.exists(path):
                    os.chmod(path, 0o600)
        else:
            app = next(app for app in apps if app.name == step.app)
            # Delete, then start: on a reload or restart PM2 would keep the old working directory and settings.
            if step.why != ABSENT:
                self._delete(step.user, home, app.name)
            self._pm2(step.user, home, "start", "-", data=json.dumps(declaration(app)))
            ended = time.time()
            if app.fields["wait_ready"]:
                self._note_unready(unready(app, self._of(app), ended))

    def _delete(self, user: str, home: str, name: str) -> None:
        """Delete an app, so that it stays away.

        A process that is ended before it has said that it is ready is taken by PM2 for one that crashed: PM2 starts it
        again when its back-off is over, be it deleted or not.
        """
        found = self._named(user, home, name)
        if not all(_settled(each) for each in found):
            self._quiet(user, home, name)
        if found:
            self._pm2(user, home, "delete", name)

    def _quiet(self, user: str, home: str, name: str) -> None:
        """Stop an app until nothing of it is left to come.

        Each stop also cancels the restart that is due. One that was stopped, and was not started before it was stopped
        again, had none left.
        """
        before: list[tuple[str, int]] = []
        for _attempt in range(20):
            self._pm2(user, home, "stop", name)
            after = [(each.status, each.restarts) for each in self._named(user, home, name)]
            if after == before and all(status in ("stopped", "errored") for status, _restarts in after):
                return
            before = after

    def _install(self, version: str) -> None:
        npm = f"{self._node_bin}/npm"
        if not os.path.exists(npm):
            raise FailedError(f"there is no npm at {npm} to install PM2 with: install Node there first")
        self._run(
            ["npm", "install", "--global", "--no-audit", "--no-fund", "--prefix", self._prefix, f"pm2@{version}"],
            umask=0o022,
            environ_update={
                "PATH": f"{self._node_bin}:/usr/local/bin:/usr/bin:/bin",
                # Node has a list of its own; trust what the host trusts.
                "NODE_EXTRA_CA_CERTS": "/etc/ssl/certs/ca-certificates.crt",
            },
        )

    def _prove(self, started: Iterable[tuple[str, str]], wanted: Wanted) -> None:
        """Watch what was started until it has stayed up past its min_uptime; raises FailedError with its last words."""
        pending = [app for apps in wanted.apps.values() for app in apps if (app.user, app.name) in set(started)]
        began = time.time()
        while pending:
            # One that has still to prove itself is asked again when it may have.
            missing = {app.name: self._missing(app, self._of(app), began) for app in pending}
            pending = [app for app in pending if missing[app.name] > 0]
            if pending:
                time.sleep(max(0.1, min(missing[app.name] for app in pending)))
                self._listed.clear()

    def _missing(self, app: App, processes: Sequence[Process], began: float) -> float:
        """Return the seconds for which it has still to stay up; raises FailedError where it did not."""
        crashed = [
            each for each in processes if each.restarts or each.status in ("errored", "stopped", "waiting restart")
        ]
        patience = (app.fields["listen_timeout"] + app.fields["min_uptime"]) / 1000 + 10
        late = time.time() - began > patience
        if crashed or late or not processes:
            self._give_up(app, next(iter([*crashed, *processes]), None), patience)
        self._peaks[app.name] = max([self._peaks.get(app.name, 0), *(memory_peak(each.pid) for each in processes)])
        for process in processes:
            if app.fields["wait_ready"] and not process.ready:
                self._give_up(app, process, patience)
        up = min(time.time() - each.started for each in processes)
        return app.fields["min_uptime"] / 1000 - up if all(each.status == "online" for each in processes) else 0.5

    def _give_up(self, app: App, process: Process | None, patience: float) -> None:
        lines = last_words(app.fields["error_file"], app.fields["out_file"])
        differences = compare(app, [process] if process else [])
        if process and process.exit_code is not None:
            what = f"ended with exit code {process.exit_code}"
        elif process and not process.ready:
            what = (
                f"did not say that it is ready within {app.fields['listen_timeout']} ms (listen_timeout): it has to"
                ' call process.send("ready") once it listens, or wait_ready has to be false'
            )
        else:
            what = f"was not up within {patience:.0f} s ({'; '.join(map(str, differences))})"
        peak = self._peaks.get(app.name, 0)
        what += f"; its memory peaked at {peak >> 20} MB" if peak else ""
        shown = "\n".join(lines) or "(its logs are empty)"
        raise FailedError(
            f"app {app.name} {what}; it was started in {app.cwd} as {app.user}. The end of its log:\n{shown}",
            app=app.name,
            exit_code=process.exit_code if process else None,
            status=process.status if process else "absent",
            log=lines,
        )

    def memory_peak(self, user: str, home: str, name: str) -> int:
        """Return the most memory that one of an app's processes has had, in bytes."""
        self._listed.clear()
        return max((memory_peak(each.pid) for each in self._named(user, home, name)), default=0)

    def _of(self, app: App) -> list[Process]:
        return self._named(app.user, app.pm2_home, app.name)

    def _named(self, user: str, home: str, name: str) -> list[Process]:
        return [each for each in self.processes(user, home) if each.name == name]

    def _note_unready(self, processes: Sequence[Process]) -> None:
        """Remember them for later runs, as long as they live: PM2 cannot tell them from others."""
        before = _read(UNREADY, [])
        after = [key for key in before if os.path.exists(f"/proc/{key.split('@')[0]}")]
        after += [process.key for process in processes]
        if before != after:
            _write(UNREADY, after)

    # Commands

    def _pm2(self, user: str, home: str, *arguments: str, data: str | None = None) -> str:
        account = self._account(user)
        if account is None:
            raise FailedError(f"there is no user {user} on this host")
        if arguments[0] not in ("jlist", "save"):
            self._listed.pop(user, None)
        environment = {
            "PATH": f"{self._node_bin}:/usr/local/bin:/usr/bin:/bin",
            "HOME": account.home,
            "PM2_HOME": home,
            "PM2_DISABLE_VERSION_CHECK": "true",
            "PM2_DISCRETE_MODE": "true",
        }
        return self._run(
            [
                *["setpriv", f"--reuid={user}", f"--regid={account.gid}", "--init-groups"],
                *["env", "-i", *(f"{key}={value}" for key, value in environment.items())],
                *[f"{self._node_bin}/node", f"{self._prefix}/bin/pm2", "--no-color", *arguments],
            ],
            data=data,
            cwd="/",
            umask=0o077,
        )

    def _run(self, command: list[str], any_rc: bool = False, **options: Any) -> str:
        rc, stdout, stderr = self._run_command(command, **options)
        if rc and not any_rc:
            last = (stderr.strip() or stdout.strip() or "it said nothing").splitlines()[-1]
            raise FailedError(
                f"`{' '.join(command)}` failed with exit code {rc}: {last}",
                command=command,
                rc=rc,
                stdout=stdout,
                stderr=stderr,
            )
        return str(stdout)


def _settled(process: Process) -> bool:
    """Say whether PM2 waits for nothing more of this process: neither that it is ready nor that it may come back."""
    patience = (process.fields["listen_timeout"] or 3000) / 1000
    return process.status == "online" and time.time() - process.started > patience


def _read(path: str, default: Any) -> Any:
    """Return what an earlier run wrote, the default where there is nothing to read."""
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return default


def _write(path: str, value: Any) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=2, sort_keys=True)
    os.replace(path + ".new", path)


def last_words(*paths: str) -> list[str]:
    """Return the last lines of the log that was written to last, of those that are not empty."""
    written = [path for path in paths if os.path.exists(path) and os.path.getsize(path)]
    return tail(max(written, key=os.path.getmtime)) if written else []


def tail(path: str) -> list[str]:
    """Return the last lines of a log, none where there is no log."""
    try:
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 32768))
            return stream.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    except FileNotFoundError:
        return []


def _command_line(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return stream.read().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def _answers(path: str) -> bool:
    """Say whether something listens on a socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def _foreign(home: str, main_pid: int) -> int:
    """Return the pid of a live daemon on this home other than the unit's own, 0 for none."""
    try:
        with open(f"{home}/pm2.pid", encoding="ascii") as stream:
            pid = int(stream.read().strip() or 0)
    except (OSError, ValueError):
        return 0
    return pid if pid != main_pid and "God Daemon" in _command_line(pid) else 0


def _saved(home: str) -> tuple[tuple[Process, ...], bool]:
    """Return the processes of the saved list, and whether only its owner can read it."""
    path = f"{home}/dump.pm2"
    try:
        with open(path, encoding="utf-8") as stream:
            found = [observe(entry) for entry in json.load(stream)]
        private = not os.stat(path).st_mode & 0o077
    except (OSError, ValueError):
        return (), True
    return tuple(process for process in found if process is not None), private
