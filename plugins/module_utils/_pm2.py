# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What PM2 should run: pure functions from what a host shows and what is wanted to one list of steps.

Nothing here reads or writes anything. A process, seen or wanted, is compared field by field (`FIELDS`), and by the
directory that the kernel says it runs in: PM2's own record of that goes stale.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, Mapping, NamedTuple, Sequence

RESTART_ON = (
    "MINATO_RESTART_ON"  # in a process's environment: the digests of its `restart_on` files when it was started
)
FIELDS = (
    "script",
    "args",
    "interpreter",
    "exec_mode",
    "max_memory_restart",
    "min_uptime",
    "kill_timeout",
    "listen_timeout",
    "wait_ready",
    "max_restarts",
    "exp_backoff_restart_delay",
    "out_file",
    "error_file",
)
INSTALL = ("install",)
DAEMON = ("reload", "evict", "start_daemon", "restart_daemon", "enable")
# The order in which steps are carried out; within a phase, the order of the plan.
PHASES = (
    INSTALL,
    DAEMON,
    ("remove", "start"),
    ("save",),
    ("retire",),
)

Json = Dict[str, Any]


class RefusedError(Exception):
    """The input cannot be made true. The message says what, where and what to write instead."""


class Process(NamedTuple):
    """One process as PM2 reports it; `cwd` is the kernel's word, and PM2's where nothing runs."""

    name: str
    pid: int
    status: str
    restarts: int
    started: float  # seconds since 1970
    exit_code: int | None
    cwd: str
    env: Mapping[str, str]
    fields: Mapping[str, Any]
    ready: bool = True  # not one of which an earlier run saw that it never said so

    @property
    def key(self) -> str:
        """This process and no later one."""
        return f"{self.pid}@{self.started}"


class App(NamedTuple):
    """One app as wanted on this host: paths resolved, sizes in bytes, times in milliseconds."""

    name: str
    user: str
    pm2_home: str
    cwd: str
    instances: int
    env: Mapping[str, str]
    log_dir: str
    fields: Mapping[str, Any]


class Daemon(NamedTuple):
    """One user's PM2 daemon as found. The default is a host that has none."""

    active: bool = False
    enabled: bool = False
    needs_reload: bool = False  # systemd has not read the unit file as it is now
    version: str = ""  # of the running daemon, not of what is installed
    outdated: str = ""  # why the running daemon has to be replaced, apart from its version
    foreign: int = 0  # pid of a daemon on the same home that systemd did not start
    processes: tuple[Process, ...] = ()
    saved: tuple[Process, ...] = ()  # as the saved list has them
    saved_private: bool = True  # nobody but the user can read the saved list


class Current(NamedTuple):
    """The host as found: the version of PM2 that is installed (empty: none) and the daemons by user."""

    version: str
    daemons: Mapping[str, Daemon]


class Wanted(NamedTuple):
    """What is asked for: a version of PM2 and the apps by user."""

    version: str
    apps: Mapping[str, Sequence[App]]


class Difference(NamedTuple):
    """One thing about an app that is not as wanted."""

    what: str
    before: Any
    after: Any

    def __str__(self) -> str:
        """Return it as a line for people."""
        return f"{self.what}: {_show(self.before)} -> {_show(self.after)}"


ABSENT = (Difference("status", "absent", "online"),)


class Step(NamedTuple):
    """One thing to do: an action of `PHASES`, on whom, and why."""

    action: str
    user: str = ""
    app: str = ""
    why: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        """Return it as a line for people."""
        subject = " ".join(part for part in (self.action.replace("_", " "), self.app or self.user) if part)
        return f"{subject} ({'; '.join(str(each) for each in self.why)})" if self.why else subject


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def parse_jlist(output: str) -> list[Json]:
    """Return the processes in the output of `pm2 jlist`.

    PM2 prints banners and `[PM2]` lines before (and sometimes after) the JSON, on the same stream. Raises ValueError
    where no list of processes is in it.
    """
    decoder = json.JSONDecoder()
    for start in re.finditer(r"^\s*\[(?=\s*[{\]])", output, re.MULTILINE):
        try:
            value, _end = decoder.raw_decode(output[start.start() :].lstrip())
        except ValueError:
            continue
        if isinstance(value, list) and all(isinstance(each, dict) and "name" in each for each in value):
            return value
    raise ValueError("no list of processes in it")


def observe(entry: Json, cwd: str = "") -> Process | None:
    """Turn one entry of `pm2 jlist`, or of the saved list, into a `Process`; None for PM2's own modules.

    `cwd` is the working directory as the kernel tells it, for a running process.
    """
    record: Json = entry.get("pm2_env", entry)
    if record.get("pmx_module"):
        return None
    args = record.get("args") or []
    return Process(
        name=str(record.get("name") or entry.get("name")),
        pid=int(entry.get("pid") or 0),
        status=str(record.get("status", "")),
        restarts=int(record.get("restart_time") or 0),
        started=float(record.get("pm_uptime") or 0) / 1000,
        exit_code=record.get("exit_code"),
        cwd=cwd or str(record.get("pm_cwd", "")),
        env={key: str(value) for key, value in (record.get("env") or {}).items()},
        fields={
            "script": record.get("pm_exec_path"),
            "args": args.split() if isinstance(args, str) else [str(each) for each in args],
            "interpreter": record.get("exec_interpreter"),
            "exec_mode": str(record.get("exec_mode", "")).replace("_mode", ""),
            "max_memory_restart": record.get("max_memory_restart"),
            "min_uptime": record.get("min_uptime"),
            "kill_timeout": record.get("kill_timeout"),
            "listen_timeout": record.get("listen_timeout"),
            "wait_ready": bool(record.get("wait_ready")),
            "max_restarts": record.get("max_restarts"),
            "exp_backoff_restart_delay": record.get("exp_backoff_restart_delay"),
            "out_file": record.get("pm_out_log_path"),
            "error_file": record.get("pm_err_log_path"),
        },
    )


def parse_size(text: str | None, where: str) -> int | None:
    """Return the bytes in a size as PM2 writes it (`600M`, `1G`, `300000`); None for none. Raises `RefusedError`."""
    if not text:
        return None
    found = re.match(r"^(\d+)([KMG]?)$", str(text))
    if not found:
        raise RefusedError(f"{where}: {text!r} is not a size: write a number with K, M or G behind it, such as 600M")
    return int(found.group(1)) * {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[found.group(2)]


def check(apps: Sequence[Json], node_bin: str) -> None:
    """Refuse what can never be made true: raises `RefusedError` with every mistake, one a line."""
    wrong = []
    homes: dict[str, str] = {}
    owners: dict[str, str] = {}
    names: dict[str, int] = {}
    for app in apps:
        where = f"app {app['name']}"
        names[app["name"]] = names.get(app["name"], 0) + 1
        if app["user"] in ("root", "0"):
            wrong.append(f"{where}: user root is refused: give the app a user of its own")
        if homes.setdefault(app["user"], app["pm2_home"]) != app["pm2_home"]:
            wrong.append(
                f"{where}: user {app['user']} has another app with pm2_home {homes[app['user']]}: one daemon a user"
            )
        if owners.setdefault(app["pm2_home"], app["user"]) != app["user"]:
            wrong.append(
                f"{where}: pm2_home {app['pm2_home']} is that of user {owners[app['pm2_home']]}: give each user one"
            )
        if app["instances"] < 1:
            wrong.append(f"{where}: instances is {app['instances']}: write 1 or more, or take the app off the list")
        if app["max_restarts"] < 1:
            wrong.append(f"{where}: max_restarts is {app['max_restarts']}: write 1 or more, or PM2 starts it only once")
        if app["exp_backoff_restart_delay"] < 0:
            wrong.append(f"{where}: exp_backoff_restart_delay is below 0: write milliseconds, or 0 for no wait")
        if app["exec_mode"] == "cluster" and app["node"] != f"{node_bin}/node":
            wrong.append(
                f"{where}: in cluster mode the workers run on the node of PM2 itself, {node_bin}/node, not on"
                f" {app['node']}: make them the same, or use fork mode"
            )
        if RESTART_ON in app["env"]:
            wrong.append(f"{where}: env has {RESTART_ON}, which this module writes itself: leave it out")
        try:
            parse_size(app["max_memory_restart"], f"{where}: max_memory_restart")
        except RefusedError as error:
            wrong.append(str(error))
    wrong += [f"app {name}: listed {count} times: give each its own name" for name, count in names.items() if count > 1]
    if wrong:
        raise RefusedError("\n".join(wrong))


def log_file(app: Json, stream: str) -> str:
    """Return the log of one entry of the module's `apps`; what runs beside another of its kind has its own."""
    whole = app.get("app") or app["name"]
    beside = app["name"][len(whole) :] if app["name"].startswith(whole) else ""
    return f"{app['log_dir']}/{stream}{beside}.log"


def wanted_app(app: Json, cwd: str, home: str, digests: Mapping[str, str]) -> App:
    """Turn one entry of the module's `apps` into an `App`.

    `cwd` is the real path of the app's directory, `home` the user's home, `digests` the SHA-256 of each `restart_on`
    file.
    """
    env = {
        "PATH": f"{os.path.dirname(app['node'])}:/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "USER": app["user"],
        "LOGNAME": app["user"],
        "LANG": "C.UTF-8",
    }
    env.update({key: str(value) for key, value in app["env"].items()})
    env[RESTART_ON] = json.dumps(digests, sort_keys=True)
    return App(
        name=app["name"],
        user=app["user"],
        pm2_home=app["pm2_home"],
        cwd=cwd,
        instances=app["instances"],
        env=env,
        log_dir=app["log_dir"],
        fields={
            "script": os.path.normpath(os.path.join(cwd, app["script"])),
            "args": [str(each) for each in app["args"]],
            "interpreter": app["node"],
            "exec_mode": app["exec_mode"],
            "max_memory_restart": parse_size(app["max_memory_restart"], app["name"]),
            "min_uptime": app["min_uptime"],
            "kill_timeout": app["kill_timeout"],
            "listen_timeout": app["listen_timeout"],
            "wait_ready": app["wait_ready"],
            "max_restarts": app["max_restarts"],
            "exp_backoff_restart_delay": app["exp_backoff_restart_delay"] or None,
            "out_file": log_file(app, "out"),
            "error_file": log_file(app, "error"),
        },
    )


def declaration(app: App) -> Json:
    """Return what `pm2 start -` reads on its standard input for one app."""
    fields = {key: value for key, value in app.fields.items() if value is not None}
    return {
        "apps": [
            {
                **fields,
                "name": app.name,
                "cwd": app.cwd,
                "instances": app.instances,
                "env": dict(app.env),
                "merge_logs": True,  # otherwise every instance logs to a file of its own, which nobody rotates
                "vizion": False,  # no looking for a git repository around the app
                "pmx": False,  # no agent of PM2's inside the app
            }
        ]
    }


def compare(app: App, processes: Sequence[Process]) -> tuple[Difference, ...]:
    """Return what is not as wanted about an app, given the processes of its name. Empty: it runs as it should."""
    if not processes:
        return ABSENT
    found: list[Difference] = []
    if len(processes) != app.instances:
        found.append(Difference("instances", len(processes), app.instances))
    for process in processes:
        if process.status != "online":
            found.append(Difference("status", process.status, "online"))
        if process.cwd != app.cwd:
            found.append(Difference("cwd", process.cwd, app.cwd))
        if app.fields["wait_ready"] and not process.ready:
            found.append(Difference("ready", "no", "yes"))
        for field in FIELDS:
            # In cluster mode the interpreter is PM2's own.
            if field == "interpreter" and app.fields["exec_mode"] == "cluster":
                continue
            if process.fields[field] != app.fields[field]:
                found.append(Difference(field, process.fields[field], app.fields[field]))
        found.extend(_compare_env(app, process.env))
    unique: list[Difference] = []
    for difference in found:
        if difference not in unique:
            unique.append(difference)
    return tuple(unique)


def unready(app: App, processes: Sequence[Process], ended: float) -> tuple[Process, ...]:
    """Return the processes, just started, that never said that they are ready; `ended` is when the start was over.

    PM2 starts them one after the other and waits for each. After `listen_timeout` it calls them online all the same,
    and says nothing; so what took it that long was never ready.
    """
    if not app.fields["wait_ready"]:
        return ()
    ordered = sorted(processes, key=lambda process: process.started)
    ends = [process.started for process in ordered[1:]] + [ended]
    limit = app.fields["listen_timeout"] / 1000
    return tuple(process for process, end in zip(ordered, ends) if end - process.started >= limit)


def _compare_env(app: App, env: Mapping[str, str]) -> list[Difference]:
    found = [
        Difference(f"env {key}", env.get(key, "unset"), value)
        for key, value in app.env.items()
        if key != RESTART_ON and env.get(key) != value
    ]
    # What somebody's shell left in it may be anything: names only.
    found.extend(
        Difference(f"env {key}", "set", "unset") for key in sorted(set(env) - set(app.env)) if not _pm2_set(app, key)
    )
    before, after = _digests(env.get(RESTART_ON, "")), _digests(app.env[RESTART_ON])
    found.extend(
        Difference(f"restart_on {path}", before.get(path, "unknown")[:12], after.get(path, "unwatched")[:12])
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    )
    return found


def _pm2_set(app: App, key: str) -> bool:
    """Say whether PM2 itself puts this into an app's environment."""
    return key.startswith(("PM2_", "pm_")) or key in (app.name, "PWD", "OLDPWD", "_", "SHLVL", "unique_id")


def _digests(text: str) -> dict[str, str]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return {str(key): str(each) for key, each in value.items()} if isinstance(value, dict) else {}


def plan(current: Current, wanted: Wanted) -> list[Step]:
    """Return the steps from one to the other, in order. Empty: there is nothing to do."""
    steps: list[Step] = []
    if current.version != wanted.version:
        steps.append(Step("install", why=(Difference("pm2", current.version or "absent", wanted.version),)))
    for user in sorted(wanted.apps):
        steps.extend(_plan_daemon(user, current.daemons.get(user, Daemon()), wanted))
    for user in sorted(set(current.daemons) - set(wanted.apps)):
        daemon = current.daemons[user]
        if daemon.active or daemon.enabled:
            steps.append(Step("retire", user))
    return steps


def _plan_daemon(user: str, daemon: Daemon, wanted: Wanted) -> list[Step]:
    steps: list[Step] = []
    if daemon.needs_reload:
        steps.append(Step("reload", user))
    if daemon.foreign:
        steps.append(Step("evict", user, why=(Difference("started by", f"hand (pid {daemon.foreign})", "systemd"),)))
    if not daemon.active:
        steps.append(Step("start_daemon", user))
    elif daemon.outdated:
        steps.append(Step("restart_daemon", user, why=(Difference("daemon", daemon.outdated, "up to date"),)))
    elif daemon.version != wanted.version:
        steps.append(Step("restart_daemon", user, why=(Difference("daemon", daemon.version, wanted.version),)))
    if not daemon.enabled:
        steps.append(Step("enable", user))
    names = {app.name for app in wanted.apps[user]}
    steps.extend(Step("remove", user, name) for name in sorted({each.name for each in daemon.processes} - names))
    for app in wanted.apps[user]:
        differences = compare(app, [process for process in daemon.processes if process.name == app.name])
        if differences:
            steps.append(Step("start", user, app.name, differences))
    if any(step.action in ("remove", "start") for step in steps) or not _is_saved(daemon):
        steps.append(Step("save", user))
    return steps


def _is_saved(daemon: Daemon) -> bool:
    """Say whether a reboot would bring back exactly what runs now, and whether only the user can read the list."""

    def key(process: Process) -> str:
        # unique_id is new at each start.
        env = {name: value for name, value in process.env.items() if name != "unique_id"}
        return json.dumps([process.name, process.status, process.cwd, env, dict(process.fields)], sort_keys=True)

    running, saved = sorted(map(key, daemon.processes)), sorted(map(key, daemon.saved))
    return daemon.saved_private and running == saved


def diff(steps: Sequence[Step]) -> dict[str, str]:
    """Return before and after as Ansible's `--diff` prints them."""
    before, after = [], []
    for step in steps:
        subject = step.app or step.user or "host"
        if not step.why:
            after.append(f"{subject}: {step.action.replace('_', ' ')}\n")
        for difference in step.why:
            before.append(f"{subject}: {difference.what}: {_show(difference.before)}\n")
            after.append(f"{subject}: {difference.what}: {_show(difference.after)}\n")
    return {"before": "".join(before), "after": "".join(after)}
