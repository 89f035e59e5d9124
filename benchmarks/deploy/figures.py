"""From what was asked, answered and done to figures and tables. Only data in, data out.

Import it as ansible_collections.minato.fleet.benchmarks.deploy.figures.
"""

from __future__ import annotations

import collections
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ansible_collections.minato.fleet.benchmarks.load.figures import percentile, table

TOLD = 1012  # "service restart": the client may come back at once
Json = dict[str, Any]
# How a task or a step of a script is known for what it does, whichever way of deploying it belongs to.
INSTALL, SWITCH = ("install", "build"), ("occupy", "switch")
INSTALL_TASK, SWITCH_TASK = "Install the dependencies", ("Point current at", "Start it, and wait")


class Answer(NamedTuple):
    """What came of a request.

    at: When it was due, in seconds of the clock.
    seconds: How long it took from then on.
    kind: ``lists`` or ``writes``.
    fault: What went wrong; empty where nothing did.
    """

    at: float
    seconds: float
    kind: str
    fault: str


class Closing(NamedTuple):
    """When a WebSocket ended, the code that it was told (1006: none), and the seconds until it was open again."""

    at: float
    code: int
    away: float


class Step(NamedTuple):
    """A task of a playbook, or a command of a script.

    what: ``install``, ``switch``, or nothing of these.
    began, ended: Seconds of the clock.
    """

    what: str
    began: float
    ended: float


class Done(NamedTuple):
    """A deploy or rollback: what, when (seconds of the clock), its steps, whether it said that all is well, and whether
    the wanted code answered afterwards."""

    action: str
    began: float
    ended: float
    steps: Sequence[Step]
    ok: bool
    new_code: bool


def steps_of_tasks(lines: Iterable[Mapping[str, Any]]) -> list[Step]:
    """The steps of a playbook, from what the callback task_times wrote: {task, step, began, ended} each."""
    found = []
    switched = False
    for line in lines:
        what = ""
        if line["step"] in INSTALL or line["task"].startswith(INSTALL_TASK):
            what = "install"
        elif not switched and (line["step"] in SWITCH or line["task"].startswith(SWITCH_TASK)):
            what, switched = "switch", True
        found.append(Step(what, line["began"], line["ended"]))
    return found


def steps_of_script(text: str) -> list[Step]:
    """The steps of a script, from what it printed: ``step SECONDS NAME`` before each, and ``end`` after the last.

    Raises:
        ValueError: It was not seen to the end.
    """
    marks = [line.split() for line in text.splitlines() if line.startswith("step ")]
    if not marks or marks[-1][2] != "end":
        raise ValueError(f"The script was not seen to its end: {text[-500:]}")
    return [
        Step(mark[2] if mark[2] in ("install", "switch") else "", float(mark[1]), float(after[1]))
        for mark, after in pairwise(marks)
    ]


def times(answers: Iterable[Answer]) -> Json:
    """Of the lists that were answered well, in milliseconds: {p50, p99, most}; None where there are none.

    What is written is left out: its connections are new, so a handshake is in each of its times.
    """
    good = [answer.seconds * 1000 for answer in answers if answer.kind == "lists" and not answer.fault]
    return {
        "p50": round(percentile(good, 50), 1) if good else None,
        "p99": round(percentile(good, 99), 1) if good else None,
        "most": round(max(good), 1) if good else None,
    }


def worst_second(answers: Iterable[Answer]) -> float | None:
    """The highest p99 of any second, in milliseconds."""
    seconds: dict[int, list[Answer]] = {}
    for answer in answers:
        seconds.setdefault(int(answer.at), []).append(answer)
    found = [told["p99"] for told in map(times, seconds.values()) if told["p99"] is not None]
    return max(found, default=None)


def between(answers: Iterable[Answer], began: float, ended: float) -> list[Answer]:
    """Those that were due, or were waited for, in this time."""
    return [answer for answer in answers if answer.at < ended and answer.at + answer.seconds >= began]


def asked(answers: Sequence[Answer]) -> Json:
    """How many requests there were, how many failed, and why: {asked, failed, faults}."""
    faults = collections.Counter(answer.fault for answer in answers if answer.fault)
    return {"asked": len(answers), "failed": faults.total(), "faults": dict(faults.most_common())}


def told(closings: Sequence[Closing]) -> Json:
    """WebSockets that ended: {told, cut, back}, those told to come back, the others, and the longest time away."""
    return {
        "told": sum(closing.code == TOLD for closing in closings),
        "cut": sum(closing.code != TOLD for closing in closings),
        "back": round(max((closing.away for closing in closings), default=0.0), 2),
    }


def one(done: Done, until: float, answers: Sequence[Answer], closings: Sequence[Closing]) -> Json:
    """One deploy or rollback under load.

    Args:
        done: What was done.
        until: Until when what happens is put down to it.
        answers: Those of the whole load.
        closings: Those of all WebSockets.
    """
    install = sum(step.ended - step.began for step in done.steps if step.what == "install")
    switch = next((step.began for step in done.steps if step.what == "switch"), done.began)
    during = between(answers, done.began, done.ended)
    return {
        "action": done.action,
        "ok": done.ok,
        "new_code": done.new_code,
        "seconds": round(done.ended - done.began, 1),
        "beyond_install": round(done.ended - done.began - install, 1),
        "switch_seconds": round(done.ended - switch, 1),
        "tasks": len(done.steps),
        **asked([answer for answer in answers if done.began <= answer.at < until]),
        "times": times(during),
        "switch_times": times(between(answers, switch, done.ended)),
        "worst_second": worst_second(during),
        **told([closing for closing in closings if done.began <= closing.at < until]),
    }


def phase(ones: Sequence[Json], answers: Sequence[Answer], done: Sequence[Done], rest: Sequence[Answer]) -> Json:
    """All of one kind together, with all that was asked during any of them in one percentile."""
    during = [answer for each in done for answer in between(answers, each.began, each.ended)]
    switches = [
        answer
        for each in done
        for answer in between(
            answers, next((step.began for step in each.steps if step.what == "switch"), each.began), each.ended
        )
    ]
    return {
        "ones": list(ones),
        "count": len(ones),
        "not_ok": sum(not each["ok"] for each in ones),
        "new_code": sum(each["new_code"] for each in ones),
        "asked": sum(each["asked"] for each in ones),
        "failed": sum(each["failed"] for each in ones),
        "worst_failed": max(each["failed"] for each in ones),
        "told": sum(each["told"] for each in ones),
        "cut": sum(each["cut"] for each in ones),
        "back": max(each["back"] for each in ones),
        "rest": {**asked(rest), **times(rest)},
        "during": times(during),
        "switch": times(switches),
        "worst_second": max((each["worst_second"] or 0.0 for each in ones), default=0.0),
        **{
            name: round(statistics.median(each[name] for each in ones), 1)
            for name in ("seconds", "beyond_install", "switch_seconds")
        },
        "most_seconds": max(each["seconds"] for each in ones),
        "tasks": round(statistics.median(each["tasks"] for each in ones)),
    }


def report(result: Mapping[str, Any]) -> str:
    """The tables of a run, and what has to be known beside them, in Markdown."""
    plan, phases = result["plan"], result["phases"]
    ours = [each for each in phases if each["way"] == "fleet"]
    average = result["average"]
    head = (
        f"{plan['rate']} requests a second and {plan['sockets']} WebSockets on one app; {plan['rest']} s at rest;"
        f" {result['cores']} cores, {result['memory']:,} MB of memory; load average {average['before']:.1f} before and"
        f" {average['after']:.1f} after; {result['seconds'] / 60:.0f} minutes."
    )
    lines = [
        head,
        "",
        unnoticed_table(ours),
        "",
        sides_table(phases),
        "",
        *(line for each in phases for line in _faults(each)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def unnoticed_table(phases: Iterable[Mapping[str, Any]]) -> str:
    """What users see of our deploys and rollbacks, in Markdown."""
    heads = (
        *("app", "what", "count", "requests", "failed", "asked again", "told 1012", "cut", "back within"),
        *("p50 at rest", "p99 at rest", "p99 meanwhile", "of rest", "p99 of switch", "of rest", "worst second's p99"),
    )
    return table(
        heads,
        2,
        [
            (
                each["app"],
                each["action"],
                str(each["count"]),
                f"{each['asked']:,}",
                str(each["failed"]),
                str(each["again"]),
                str(each["told"]),
                str(each["cut"]),
                f"{each['back']:.2f} s",
                *(_ms(each["rest"][rank]) for rank in ("p50", "p99")),
                *_beside_rest(each, "during"),
                *_beside_rest(each, "switch"),
                _ms(each["worst_second"]),
            )
            for each in phases
        ],
    )


def _beside_rest(each: Mapping[str, Any], when: str) -> tuple[str, str]:
    p99, rest = each[when]["p99"], each["rest"]["p99"]
    return _ms(p99), "-" if p99 is None or not rest else f"{p99 / rest:.1f}x"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def sides_table(phases: Iterable[Mapping[str, Any]]) -> str:
    """Each way of deploying beside the others, in Markdown."""
    heads = (
        *("app", "way", "count", "ended well", "new code answers", "failed requests", "worst of them", "told 1012"),
        *("cut", "back within", "worst second's p99", "seconds", "beyond install", "from the switch on", "tasks"),
    )
    return table(
        heads,
        2,
        [
            (
                each["app"],
                each["way"] if each["action"] == "deploy" else f"{each['way']}, {each['action']}",
                str(each["count"]),
                str(each["count"] - each["not_ok"]),
                str(each["new_code"]),
                f"{each['failed']:,} of {each['asked']:,}",
                str(each["worst_failed"]),
                str(each["told"]),
                str(each["cut"]),
                f"{each['back']:.2f} s",
                _ms(each["worst_second"]),
                *(f"{each[name]:.1f}" for name in ("seconds", "beyond_install", "switch_seconds")),
                str(each["tasks"]),
            )
            for each in sorted(phases, key=lambda each: str(each["app"]))
        ],
    )


def _faults(each: Mapping[str, Any]) -> list[str]:
    """Why requests failed in this phase, most frequent first."""
    faults: collections.Counter[str] = collections.Counter()
    for told_one in each["ones"]:
        faults.update(told_one["faults"])
    said = ", ".join(f"{fault} ({count:,})" for fault, count in faults.most_common(4))
    return [f"- {each['app']}, {each['way']}, {each['action']}: {said}."] if said else []
