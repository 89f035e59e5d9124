"""From what the load tool and the samplers wrote to figures and tables. Only data in, data out.

Import it as ansible_collections.minato.fleet.benchmarks.load.figures.
"""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ansible_collections.minato.fleet.benchmarks.load.plan import User

MEGABYTE = 1 << 20
Row = Sequence[str]
Samples = Sequence[dict[str, Any]]


class Answer(NamedTuple):
    """One answer: when it was asked for (seconds from the beginning), how long it took (seconds), and its status."""

    at: float
    seconds: float
    status: int


class Use(NamedTuple):
    """What something used at a time: the second, CPU in percent of one core, memory in megabytes."""

    at: float
    cpu: float
    memory: float


def answers(text: str, began: float = 0.0) -> list[Answer]:
    """The answers in hey's output (``-o csv``). It leaves out requests that got none.

    Args:
        text: What hey printed; empty if nothing was answered at all.
        began: When this hey began, in seconds from the beginning of the load.

    Raises:
        ValueError: It is no such output.
    """
    rows = csv.DictReader(line for line in text.splitlines() if line.strip())
    columns = {"response-time", "status-code", "offset"}
    if rows.fieldnames and not columns <= set(rows.fieldnames):
        raise ValueError(f"hey printed no table with {', '.join(sorted(columns))}, but: {text[:200]}")
    return [Answer(began + float(row["offset"]), float(row["response-time"]), int(row["status-code"])) for row in rows]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that so many percent of them do not exceed (nearest rank).

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("No percentile of no values.")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def summary(asked: int, found: Iterable[Answer]) -> dict[str, Any]:
    """What came of so many requests.

    Returns:
        ``asked``; ``wrong``, answered with another status than 2xx; ``unanswered``, because of a broken connection or a
        timeout, or never sent because all was late; ``errors``, both together; ``per_second``, answers; and in
        milliseconds ``mean``, ``p50``, ``p95``, ``p99``, ``most`` of the answers with 2xx, or None.
    """
    every = list(found)
    times = [answer.seconds * 1000 for answer in every if answer.status // 100 == 2]
    span = max((answer.at + answer.seconds for answer in every), default=0.0)
    wrong, unanswered = len(every) - len(times), asked - len(every)
    return {
        "asked": asked,
        "wrong": wrong,
        "unanswered": unanswered,
        "errors": wrong + unanswered,
        "per_second": round(len(every) / span, 1) if span else 0.0,
        "mean": round(statistics.fmean(times), 1) if times else None,
        **{f"p{rank}": round(percentile(times, rank), 1) if times else None for rank in (50, 95, 99)},
        "most": round(max(times), 1) if times else None,
    }


def course(found: Iterable[Answer], width: float) -> list[dict[str, float]]:
    """Percentiles of the good answers over time: {at, p50, p95, p99} for each ``width`` seconds that have any."""
    windows: dict[int, list[float]] = {}
    for answer in found:
        if answer.status // 100 == 2:
            windows.setdefault(int(answer.at // width), []).append(answer.seconds * 1000)
    return [
        {"at": (number + 0.5) * width, **{f"p{rank}": round(percentile(times, rank), 1) for rank in (50, 95, 99)}}
        for number, times in sorted(windows.items())
    ]


def host_uses(samples: Samples) -> list[Use]:
    """What a whole host used between each two samples."""
    return [
        Use(
            after["at"],
            _percent(after["host"]["cpu"] - before["host"]["cpu"], before, after),
            _megabytes(after["host"]),
        )
        for before, after in pairwise(samples)
    ]


def process_uses(samples: Samples, which: Callable[[dict[str, Any]], bool]) -> list[Use]:
    """What some processes used together between each two samples of their host; a new one counts from zero."""
    found = []
    for before, after in pairwise(samples):
        already = {process["id"]: process["cpu"] for process in before["processes"]}
        mine = [process for process in after["processes"] if which(process)]
        cpu = sum(process["cpu"] - already.get(process["id"], 0.0) for process in mine)
        found.append(Use(after["at"], _percent(cpu, before, after), sum(map(_megabytes, mine))))
    return found


def _percent(cpu: float, before: dict[str, Any], after: dict[str, Any]) -> float:
    return 100 * cpu / float(after["at"] - before["at"])


def _megabytes(used: dict[str, Any]) -> float:
    return float(used["memory"]) / MEGABYTE


def use(uses: Sequence[Use], limit: float | None = None) -> dict[str, Any]:
    """Mean and peak of what was used: {cpu_mean, cpu_peak, memory_mean, memory_peak, limit}, the limit in megabytes."""
    cpu, memory = [each.cpu for each in uses], [each.memory for each in uses]
    return {
        "cpu_mean": round(statistics.fmean(cpu), 1),
        "cpu_peak": round(max(cpu), 1),
        "memory_mean": round(statistics.fmean(memory), 1),
        "memory_peak": round(max(memory), 1),
        "limit": limit,
    }


def between(samples: Mapping[str, Samples], began: float, ended: float) -> dict[str, Samples]:
    """The samples of each host that were taken in this time."""
    return {host: [sample for sample in those if began <= sample["at"] <= ended] for host, those in samples.items()}


def parts(
    hosts: Mapping[str, Any], catalog: Samples, samples: Mapping[str, Samples]
) -> dict[str, tuple[list[Use], float | None]]:
    """What each part of the two systems used, and its limit in megabytes where it has one.

    Args:
        hosts: The hosts of the inventory, with ``fleet_app_names`` and ``fleet_memory_mb``.
        catalog: The apps; those of a host are its processes' users.
        samples: Of each host, and of the others that are looked at.
    """
    apps = {app["name"]: app for app in catalog}
    found: dict[str, tuple[list[Use], float | None]] = {}
    busy = {host: told for host, told in hosts.items() if told.get("fleet_app_names")}
    for host, told in busy.items():
        for name in told["fleet_app_names"]:
            limit = int(apps[name]["memory_max"].removesuffix("M")) * apps[name].get("instances", 1)
            found[name] = (process_uses(samples[host], _worker(name)), limit)
    for host in busy:
        found[f"PM2 on {host}"] = (process_uses(samples[host], lambda process: process["daemon"]), None)
        for user, name in (("www-data", "nginx"), ("redis", "Redis")):
            uses = process_uses(samples[host], _worker(user))
            if any(use.memory for use in uses):
                found[f"{name} on {host}"] = (uses, None)
    for host, those in samples.items():
        if host in busy or host not in hosts:
            found[f"{host}, whole"] = (host_uses(those), hosts.get(host, {}).get("fleet_memory_mb"))
    return found


def _worker(user: str) -> Callable[[dict[str, Any]], bool]:
    return lambda process: process["user"] == user and not process["daemon"]


def series(uses: Iterable[Use], began: float) -> dict[str, list[float]]:
    """Columns of what was used, for a plot: ``at`` in seconds from the beginning, ``cpu``, ``memory``."""
    rows = [(round(use.at - began, 1), round(use.cpu, 1), round(use.memory, 1)) for use in uses]
    return dict(zip(("at", "cpu", "memory"), map(list, zip(*rows, strict=True)), strict=False))


def answers_of(who: Sequence[User], found: Mapping[User, Sequence[Answer]], asked: int) -> dict[str, dict[str, Any]]:
    """What came of the requests to each app: {app: {all, lists, writes}}, each a summary.

    Args:
        who: The users.
        found: The answers that each of them got.
        asked: The requests that each of them was to make.
    """
    told: dict[str, dict[str, Any]] = {}
    for app in dict.fromkeys(user.app for user in who):
        told[app] = {}
        for kind in ("all", "lists", "writes"):
            those = [user for user in who if user.app == app and kind in ("all", user.kind)]
            told[app][kind] = summary(asked * len(those), [answer for user in those for answer in found[user]])
    return told


def courses_of(who: Sequence[User], found: Mapping[User, Sequence[Answer]], width: float) -> dict[str, Any]:
    """The course of each app's answers over time, as ``course`` gives it."""
    apps = dict.fromkeys(user.app for user in who)
    return {app: course([answer for user in who if user.app == app for answer in found[user]], width) for app in apps}


def report(result: Mapping[str, Any]) -> str:
    """The tables of a run, and what has to be known beside them, in Markdown."""
    load, patterns = result["load"], result["patterns"]
    asked = f"{load['users']} users, {load['rate']:g} requests a second, {load['minutes']:g} minutes"
    lines = [
        f"{asked}; {result['cores']} cores, {result['memory']:,} MB of memory.",
        "",
        answers_table(patterns),
        "",
        uses_table(patterns),
        "",
        *(_beside(pattern) for pattern in patterns),
    ]
    return "\n".join(lines) + "\n"


def _beside(pattern: Mapping[str, Any]) -> str:
    """What happened on the feed, and how busy the machine was, in one line."""
    feed, average, uses, busy = (pattern[name] for name in ("feed", "average", "uses", "busy"))
    writes = pattern["answers"]["voicedrive-api"]["writes"]
    posts = writes["asked"] - writes["errors"]
    others = busy - sum(told["cpu_mean"] for name, told in uses.items() if name.endswith(", whole"))
    return (
        f"- Pattern {pattern['pattern']}, {pattern['seconds']:.0f} s: {feed['sockets']} WebSockets heard"
        f" {feed['heard']:,} of {posts * feed['sockets']:,} news and were lost {feed['lost']} times. The whole machine"
        f" used {busy} % of one core, {others:.0f} % of it outside the containers above; its load average was"
        f" {average['before']:.1f} before and {average['after']:.1f} after."
    )


def answers_table(patterns: Iterable[dict[str, Any]]) -> str:
    """Requests, errors and times of each pattern and app, in Markdown."""
    heads = ("pattern", "app", "requests", "a second", "not 2xx", "no answer", "errors", "mean", "p50", "p95", "p99")
    return table(heads, 2, [row for pattern in patterns for row in _answer_rows(pattern)])


def _answer_rows(pattern: dict[str, Any]) -> Iterable[Row]:
    for app, kinds in pattern["answers"].items():
        for kind, told in kinds.items():
            yield (
                str(pattern["pattern"]),
                app if kind == "all" else f"{app}, {kind}",
                f"{told['asked']:,}",
                f"{told['per_second']:.1f}",
                str(told["wrong"]),
                str(told["unanswered"]),
                f"{100 * told['errors'] / told['asked']:.2f} %",
                *(_unless_none(told[name], "{:.1f} ms") for name in ("mean", "p50", "p95", "p99")),
            )


def uses_table(patterns: Iterable[dict[str, Any]]) -> str:
    """CPU and memory of each pattern's apps and hosts, in Markdown."""
    heads = ("pattern", "what", "CPU mean", "CPU peak", "memory mean", "memory peak", "mean of limit", "peak of limit")
    return table(heads, 2, [row for pattern in patterns for row in _use_rows(pattern)])


def _use_rows(pattern: dict[str, Any]) -> Iterable[Row]:
    for name, told in pattern["uses"].items():
        shares = [100 * told[key] / told["limit"] if told["limit"] else None for key in ("memory_mean", "memory_peak")]
        yield (
            str(pattern["pattern"]),
            name,
            *(f"{told[key]:.0f} %" for key in ("cpu_mean", "cpu_peak")),
            *(f"{told[key]:.0f} MB" for key in ("memory_mean", "memory_peak")),
            *(_unless_none(share, "{:.0f} %") for share in shares),
        )


def _unless_none(value: float | None, shape: str) -> str:
    return "-" if value is None else shape.format(value)


def table(heads: Row, words: int, rows: Iterable[Row]) -> str:
    """A table whose first columns are words, and the others figures."""
    lines = [heads, ("---",) * words + ("---:",) * (len(heads) - words), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
