# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What systemd should run: pure functions from what a host shows and what is wanted to one list of steps.

A process is compared with the files that it read when it was started, its unit file among them. For the process that
this collection started, their digests were written down (`Note`). One that was started since by something else, as
after a crash or a reboot, has read what has not changed since.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, Mapping, NamedTuple, Sequence

Json = Dict[str, Any]

DIRECTORY = "/etc/systemd/system"
UP = ("active", "reloading")
DOWN = ("inactive", "failed", "absent")

# What systemd itself ends a process with before its program runs.
_BEFORE_EXEC = {
    200: "its working directory cannot be entered",
    203: "its program cannot be run",
    209: "its output cannot be opened",
    216: "its group does not exist",
    217: "its user does not exist",
    218: "its capabilities cannot be set",
    226: "its view of the file system cannot be made; a path under read_write_paths may be missing",
    228: "its system calls cannot be filtered",
}


class File(NamedTuple):
    """A file as it is: SHA-256 in hex (`absent` where there is none), and when its inode changed, in seconds."""

    digest: str
    changed: float = 0.0


class Note(NamedTuple):
    """What was written down about a process when it was started: which one, and the digests of what it read."""

    invocation: str = ""
    files: Mapping[str, str] = {}


class Unit(NamedTuple):
    """One of systemd's units as wanted; times in seconds."""

    name: str
    app: str
    enabled: bool = True
    started: bool = True
    on_demand: str = ""  # the timer or socket that starts it
    cwd: str = ""  # empty: not compared
    restart_on: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()  # its own files
    min_uptime: float = 0.0
    health_url: str = ""
    health_timeout: float = 0.0
    warm_up_url: str = ""


class Seen(NamedTuple):
    """One of systemd's units as found. The default is one that does not exist."""

    active: str = "absent"
    sub: str = ""
    result: str = ""
    enabled: bool = False
    needs_reload: bool = False
    cwd: str = ""  # the kernel's word on the main process; empty where there is none
    invocation: str = ""
    started: float = 0.0
    uptime: float = 0.0
    restarts: int = 0
    files: Mapping[str, File] = {}
    note: Note = Note()


class Difference(NamedTuple):
    """One thing about a unit that is not as wanted."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        """Return it as a line for people."""
        return f"{self.what}: {self.before} -> {self.after}"


class Step(NamedTuple):
    """One thing to do, with which unit, and why."""

    action: str
    unit: str = ""
    why: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        """Return it as a line for people."""
        subject = f"{self.action} {self.unit}".strip()
        return f"{subject} ({'; '.join(map(str, self.why))})" if self.why else subject


def expand(items: Sequence[Json]) -> list[Unit]:
    """Return systemd's units for the module's `units`: one for each instance, a timer or socket before its service."""
    return [unit for item in items for unit in _expand(item)]


def _expand(item: Json) -> Iterator[Unit]:
    name, kind = item["name"], item["activation"]
    stem = f"{name}@" if item["instances"] else name
    own = [f"{DIRECTORY}/{stem}.service", f"{DIRECTORY}/{stem}.service.d/sandbox.conf"]
    common = {"app": name, "enabled": item["enabled"], "started": item["state"] == "started"}
    health = {"health_url": item["health_url"], "health_timeout": float(item["health_timeout"])}
    starter = "" if kind == "service" else f"{name}.{kind}"
    if starter:
        yield Unit(name=starter, paths=(f"{DIRECTORY}/{starter}",), **common, **health)
    for instance in item["instances"] or [""]:

        def said(text: str, instance: str = instance) -> str:
            return text.replace("%i", instance) if instance else text

        yield Unit(
            **common,
            name=f"{stem}{instance}.service",
            on_demand=starter,
            cwd=said(item["working_directory"] or ""),
            restart_on=tuple(said(path) for path in item["restart_on"]),
            paths=tuple(own),
            min_uptime=float(item["min_uptime"]),
            health_url=said(health["health_url"]),
            health_timeout=health["health_timeout"],
            warm_up_url=said(item["warm_up_url"]),
        )


def compare(unit: Unit, seen: Seen) -> tuple[Difference, ...]:
    """Return what is not as wanted about a unit that should be up. Empty: it runs as it should."""
    if seen.active not in UP:
        return (Difference("state", _state(seen), "active"),)
    found = []
    if unit.cwd and seen.cwd and seen.cwd != unit.cwd:
        found.append(Difference("cwd", seen.cwd, unit.cwd))
    if seen.restarts and seen.uptime < unit.min_uptime:
        found.append(Difference("state", f"ended {seen.restarts} times", f"up for {unit.min_uptime:g} s"))
    for path, file in sorted(seen.files.items()):
        if _changed(path, file, seen):
            found.append(Difference(path, "as it was read", "changed since"))
    return tuple(found)


def _state(seen: Seen) -> str:
    if seen.active == "failed" and seen.result:
        return f"failed ({seen.result})"
    return f"{seen.active} ({seen.sub})" if seen.sub == "auto-restart" else seen.active


def _changed(path: str, file: File, seen: Seen) -> bool:
    """Say whether a file is another one than the process has read."""
    if seen.invocation and seen.note.invocation == seen.invocation:
        return seen.note.files.get(path, "absent") != file.digest
    return file.changed > seen.started


def plan(current: Mapping[str, Seen], wanted: Sequence[Unit], owned: Sequence[str]) -> list[Step]:
    """Return the steps from one to the other, in order. Empty: there is nothing to do.

    `owned` are the units that earlier runs put on this host.
    """
    steps: list[Step] = []
    if any(seen.needs_reload for seen in current.values()):
        steps.append(Step("reload"))
    names = {unit.name for unit in wanted}
    for name in sorted(set(owned) - names):
        seen = current.get(name, Seen())
        if seen.active not in DOWN or seen.enabled:
            steps.append(Step("retire", name, (Difference("state", seen.active, "not wanted any more"),)))
    steps += [Step("stop", unit.name) for unit in wanted if not unit.started and current[unit.name].active not in DOWN]
    steps += [
        Step("enable" if unit.enabled else "disable", unit.name)
        for unit in wanted
        if not unit.on_demand and unit.enabled != current[unit.name].enabled
    ]
    for unit in wanted:
        if unit.started:
            steps.extend(_plan_start(unit, current, wanted))
    return steps


def _plan_start(unit: Unit, current: Mapping[str, Seen], wanted: Sequence[Unit]) -> Iterator[Step]:
    seen = current[unit.name]
    if unit.on_demand:
        (starter,) = (each for each in wanted if each.name == unit.on_demand)
        # A timer's job goes on to its end; its next run is the new one.
        if unit.on_demand.endswith(".timer") or seen.active not in UP or compare(starter, current[starter.name]):
            return
    why = compare(unit, seen)
    if not why:
        return
    if unit.name.endswith(".socket"):  # which systemd does not start while its service runs
        for service in wanted:
            if service.on_demand == unit.name and current[service.name].active not in DOWN:
                yield Step("stop", service.name, why)
    yield Step("restart" if seen.active in UP else "start", unit.name, why)


def rounds(steps: Sequence[Step], wanted: Sequence[Unit]) -> list[list[tuple[Step, Unit]]]:
    """Return the starts in their order: what does not run at once, then of each app one instance at a time."""
    units = {unit.name: unit for unit in wanted}
    starts = [(step, units[step.unit]) for step in steps if step.action == "start"]
    starting = {unit.app for _step, unit in starts}
    found = [starts] if starts else []
    counts: dict[str, int] = {}
    for step in steps:
        if step.action == "restart":
            unit = units[step.unit]
            turn = counts.get(unit.app, int(unit.app in starting))
            counts[unit.app] = turn + 1
            if turn == len(found):
                found.append([])
            found[turn].append((step, unit))
    return found


def diff(steps: Sequence[Step]) -> dict[str, str]:
    """Return before and after as Ansible's `--diff` prints them."""
    before, after = [], []
    for step in steps:
        subject = step.unit or "systemd"
        if not step.why:
            after.append(f"{subject}: {step.action}\n")
        for difference in step.why:
            before.append(f"{subject}: {difference.what}: {difference.before}\n")
            after.append(f"{subject}: {difference.what}: {difference.after}\n")
    return {"before": "".join(before), "after": "".join(after)}


def parse_show(output: str, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what `systemctl show` says about each unit; systemd answers in the order it was asked."""
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in re.split(r"\n\n+", output.strip())
    ]
    return dict(zip(names, blocks))


def parse_exposure(output: str) -> dict[str, float]:
    """Return the score of each unit in what `systemd-analyze security` prints for several."""
    found = re.findall(r"Overall exposure level for (\S+): ([\d.]+)", output)
    return {unit: float(score) for unit, score in found}


def how_it_ended(shown: Mapping[str, str], journal: Sequence[str], peak: int) -> str:
    """Say why a service is not up, from what systemd shows and has logged, and `peak`, the bytes seen in use.

    What systemd shows is lost as soon as it starts the service again; the journal keeps it.
    """
    text = "\n".join(journal)
    code, status = shown.get("ExecMainCode", ""), shown.get("ExecMainStatus", "")
    logged = re.findall(r"Main process exited, code=(\w+), status=(\d+)", text)
    if logged:
        code, status = logged[-1]
    results = re.findall(r"Failed with result '([\w-]+)'", text)
    result = results[-1] if results else shown.get("Result", "")
    if result == "oom-kill":
        what = "was killed by the kernel because it took more memory than it may have (Result oom-kill)"
    elif code in ("exited", "1"):
        hint = _BEFORE_EXEC.get(int(status or 0))
        what = f"ended with exit code {status}" + (f", which is systemd's own: {hint}" if hint else "")
    elif code in ("killed", "dumped", "2", "3"):
        what = f"was ended by signal {status}"
        if (
            status == "9" and shown.get("MemoryMax", "").isdigit()
        ):  # cgroup v1 does not tell systemd that it was the kernel
            what += f", as the kernel does with what takes more than its memory_max of {size(int(shown['MemoryMax']))}"
    else:
        what = f"is {shown.get('ActiveState', 'absent')}"
    if result not in ("", "success", "oom-kill"):
        what += f" (Result {result})"
    return what + _memory(shown, text, peak)


def _memory(shown: Mapping[str, str], text: str, peak: int) -> str:
    told = re.findall(r"([\d.]+[KMGT]?) memory peak", text)
    used = told[-1] if told else size(peak) if peak else ""
    limit = shown.get("MemoryMax", "")
    if not used:
        return f"; its memory_max is {size(int(limit))}" if limit.isdigit() and "oom" in text.lower() else ""
    return f"; its memory peaked at {used}" + (f" of at most {size(int(limit))}" if limit.isdigit() else "")


def peaked(peak: int) -> str:
    """Tell the most memory that was seen in use, in bytes; nothing for 0."""
    return f"; its memory peaked at {size(peak)}" if peak else ""


def size(count: int) -> str:
    """Write bytes as systemd does."""
    for unit, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.1f}".rstrip("0").rstrip(".") + unit
    return str(count)
