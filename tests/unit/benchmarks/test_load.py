"""What make bench-load plans, reads and works out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.benchmarks.load import figures, plan, sampler
from ansible_collections.minato.fleet.benchmarks.load.figures import Answer, Use

APPS = ["medical-api", "voicedrive-api"]
HEY = """\
response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset
0.0100,0.0040,0.0010,0.0000,0.0050,0.0002,200,0.3333
0.0300,0.0000,0.0000,0.0000,0.0298,0.0001,502,0.6667

"""
REQUESTS: dict[tuple[str, str], dict[str, Any]] = {
    (app, kind): {
        "path": f"/api/{app}/{kind}",
        "headers": {"Authorization": "Bearer it's me"},
        **({"body": {"notes": '夜勤 & "that\'s all" $HOME'}} if kind == "writes" else {}),
    }
    for app in APPS
    for kind in ("lists", "writes")
}


def test_what_is_asked_of_it_unless_somebody_says_otherwise() -> None:
    load = plan.Load.told({})
    assert load == (20, 200.0, 2.0, 20)
    assert (load.user_rate, load.user_requests, load.patience) == (10.0, 1200, 200.0)


def test_s2_10_can_be_asked_of_it() -> None:
    load = plan.Load.told({"USERS": "100", "RATE": "1000", "MINUTES": "30"})
    assert sum(load.user_requests for user in plan.users(load, APPS)) == 1000 * 30 * 60


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"USERS": "2"}, "USERS"),
        ({"USERS": "21"}, "even"),
        ({"RATE": "0"}, "above 0"),
        ({"MINUTES": "-1"}, "MINUTES=-1 is no number"),
        ({"SOCKETS": "0"}, "above 0"),
        ({"SOCKETS": "1.5"}, "SOCKETS=1.5"),
        ({"USERS": "many"}, "USERS=many is no number that can be used. Write one, such as 20"),
    ],
)
def test_what_cannot_be_asked_is_refused(variables: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        plan.Load.told(variables)


def test_users_are_halved_and_ask_in_one_beat() -> None:
    load = plan.Load(users=20, rate=60, minutes=2, sockets=1)
    who = plan.users(load, APPS)
    assert [user.app for user in who] == APPS * 10
    assert sorted(user.name for user in who if user.kind == "writes") == [f"{app}.writes.0" for app in APPS]
    beats = [user.begins * load.rate for user in who]
    assert beats == pytest.approx(range(20)), "the last one begins a beat before the first one asks again"


def test_the_script_asks_as_planned(tmp_path: Path) -> None:
    """Run with a hey that says how it was called."""
    load = plan.Load(users=4, rate=40, minutes=0.05, sockets=1)
    who = plan.users(load, APPS)
    script = plan.script(load, who, REQUESTS).replace(plan.PLACE, str(tmp_path / "found"))
    hey = tmp_path / "hey"
    hey.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\necho trouble >&2\n')
    hey.chmod(0o755)
    subprocess.run(["sh"], input=script, text=True, check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    lists, writes = ((tmp_path / f"found/medical-api.{name}.csv").read_text() for name in ("lists.1", "writes.0"))
    told = ["-o", "csv", "-c", "1", "-n", "30", "-q", "10", "-t", "20", "-H"]
    assert lists.splitlines() == [*told, "Authorization: Bearer it's me", f"{plan.SITE}/api/medical-api/lists"]
    assert '{"notes": "夜勤 & \\"that\'s all\\" $HOME"}' in writes.splitlines()
    assert writes.splitlines()[12:14] == ["-m", "POST"]
    first, last = (float((tmp_path / f"found/{user.name}.began").read_text()) for user in (who[0], who[-1]))
    assert last - first > 0.03
    assert (tmp_path / "found/voicedrive-api.lists.1.error").read_text() == "trouble\n"


def test_answers_are_read() -> None:
    assert figures.answers(HEY, began=1.0) == [Answer(1.3333, 0.01, 200), Answer(1.6667, 0.03, 502)]
    assert figures.answers("") == []


def test_what_is_no_such_output_is_no_answer() -> None:
    with pytest.raises(ValueError, match="no table"):
        figures.answers("Usage: hey [options...] <url>\n")


@pytest.mark.parametrize(
    ("values", "percent", "found"),
    [
        ([5.0], 50, 5.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 51, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 0, 1.0),
        ([float(value) for value in range(100, 0, -1)], 95, 95.0),
        ([float(value) for value in range(1, 101)], 99, 99.0),
        ([float(value) for value in range(1, 101)], 99.1, 100.0),
    ],
)
def test_percentiles_are_nearest_ranks(values: list[float], percent: float, found: float) -> None:
    assert figures.percentile(values, percent) == found


def test_every_error_is_counted_and_none_makes_the_times_better() -> None:
    good = [Answer(at, 0.1, 200 if at % 2 else 201) for at in range(8)]
    told = figures.summary(12, [*good, Answer(8, 0.001, 502), Answer(9, 1.0, 404)])
    counted = {"asked": 12, "wrong": 2, "unanswered": 2, "errors": 4, "per_second": 1.0}
    assert told == counted | {"mean": 100.0, "p50": 100.0, "p95": 100.0, "p99": 100.0, "most": 100.0}


def test_when_nothing_is_answered_no_time_is_made_up() -> None:
    told = figures.summary(3, [])
    assert (told["unanswered"], told["errors"], told["per_second"], told["mean"], told["p99"]) == (
        3,
        3,
        0.0,
        None,
        None,
    )


def test_the_course_of_answers_has_no_errors_in_it() -> None:
    found = [Answer(0.5, 0.01, 200), Answer(4.9, 0.03, 200), Answer(5.0, 0.002, 500), Answer(12.0, 0.05, 200)]
    assert figures.course(found, width=5.0) == [
        {"at": 2.5, "p50": 10.0, "p95": 30.0, "p99": 30.0},
        {"at": 12.5, "p50": 50.0, "p95": 50.0, "p99": 50.0},
    ]


def sample(at: float, host_cpu: float, *processes: tuple[str, str, float, int]) -> dict[str, Any]:
    """A line of the sampler, from the number, user, seconds and megabytes of each process; number 1 is PM2's own."""
    return {
        "at": at,
        "host": {"cpu": host_cpu, "memory": 512 << 20},
        "processes": [
            {"id": name, "user": user, "daemon": name == "1", "cpu": cpu, "memory": megabytes << 20}
            for name, user, cpu, megabytes in processes
        ],
    }


SAMPLES = [
    sample(100.0, 10.0, ("1", "medical-api", 1.0, 60), ("2", "medical-api", 5.0, 100), ("3", "www-data", 0.0, 5)),
    sample(102.0, 11.0, ("1", "medical-api", 1.1, 60), ("2", "medical-api", 6.0, 110), ("3", "www-data", 0.4, 5)),
    sample(103.0, 11.5, ("1", "medical-api", 1.1, 60), ("4", "medical-api", 0.3, 90), ("3", "www-data", 0.4, 5)),
]


def test_cpu_is_told_in_percent_of_one_core() -> None:
    assert figures.host_uses(SAMPLES) == [Use(102.0, 50.0, 512.0), Use(103.0, 50.0, 512.0)]


def test_a_process_that_began_anew_is_counted_from_zero() -> None:
    uses = figures.process_uses(SAMPLES, lambda process: process["user"] == "medical-api" and not process["daemon"])
    assert [tuple(round(figure, 6) for figure in use) for use in uses] == [(102.0, 50.0, 110.0), (103.0, 30.0, 90.0)]


def test_parts_have_the_limits_that_catalog_and_inventory_say() -> None:
    hosts = {"systems-1": {"fleet_app_names": ["medical-api"], "fleet_memory_mb": 2048}, "systems-2": {}}
    catalog = [{"name": "medical-api", "memory_max": "600M", "instances": 2}]
    everything = {"systems-1": SAMPLES, "systems-2": SAMPLES, "load": SAMPLES}
    parts = figures.parts(hosts, catalog, figures.between(everything, 100.0, 102.0))
    assert {name: limit for name, (_uses, limit) in parts.items()} == {
        "medical-api": 1200,
        "PM2 on systems-1": None,
        "nginx on systems-1": None,
        "systems-1, whole": 2048,
        "load, whole": None,
    }
    assert [use.at for use in parts["nginx on systems-1"][0]] == [102.0]
    assert figures.use(parts["medical-api"][0], 1200)["cpu_mean"] == 50.0


def test_answers_are_told_for_each_app_and_kind() -> None:
    who = plan.users(plan.Load(users=4, rate=4, minutes=1, sockets=1), APPS)
    found = {user: [Answer(1.0, 0.01 if user.kind == "lists" else 0.02, 200)] for user in who}
    told = figures.answers_of(who, found, asked=2)
    assert list(told) == APPS
    assert {kind: (each["asked"], each["errors"], each["mean"]) for kind, each in told["medical-api"].items()} == {
        "all": (4, 2, 15.0),
        "lists": (2, 1, 10.0),
        "writes": (2, 1, 20.0),
    }


def result() -> dict[str, Any]:
    who = plan.users(plan.Load(users=4, rate=4, minutes=1, sockets=1), APPS)
    found = {user: [Answer(1.0, 0.01, 200)] if user.app == "medical-api" else [] for user in who}
    uses = {
        "medical-api": figures.use([Use(1.0, 10.0, 90.0), Use(2.0, 30.0, 150.0)], 600),
        "load, whole": figures.use([Use(1.0, 20.0, 40.0)]),
    }
    pattern = {"pattern": 2, "seconds": 60.2, "answers": figures.answers_of(who, found, 30), "uses": uses}
    beside = {"feed": {"sockets": 20, "heard": 0, "lost": 1}, "average": {"before": 0.1, "after": 1.0}, "busy": 95}
    load = {"users": 4, "rate": 4.0, "minutes": 1.0}
    return {"load": load, "cores": 2, "memory": 8000, "patterns": [{**pattern, **beside}]}


def test_the_report_says_it_all() -> None:
    lines = figures.report(result()).splitlines()
    assert lines[0] == "4 users, 4 requests a second, 1 minutes; 2 cores, 8,000 MB of memory."
    assert "| 2 | medical-api | 60 | 2.0 | 0 | 58 | 96.67 % | 10.0 ms | 10.0 ms | 10.0 ms | 10.0 ms |" in lines
    assert "| 2 | voicedrive-api | 60 | 0.0 | 0 | 60 | 100.00 % | - | - | - | - |" in lines
    assert "| 2 | medical-api | 20 % | 30 % | 120 MB | 150 MB | 20 % | 25 % |" in lines
    assert "| 2 | load, whole | 20 % | 20 % | 40 MB | 40 MB | - | - |" in lines
    assert "heard 0 of 0 news and were lost 1 times" in lines[-1]
    assert "used 95 % of one core, 75 % of it outside" in lines[-1]
    assert all(line.count("|") in (0, 9, 12) for line in lines)


V2 = {"cpu.stat": "usage_usec 2500000\nuser_usec 1\n", "memory.current": "900\n", "memory.stat": "inactive_file 100\n"}
V1 = {
    "cpuacct/cpuacct.usage": "2500000000\n",
    "memory/memory.usage_in_bytes": "900\n",
    "memory/memory.stat": "inactive_file 7\ntotal_inactive_file 100\n",
}


@pytest.mark.parametrize("files", [V2, V1], ids=["v2", "v1"])
def test_a_host_is_read_from_either_version_of_control_groups(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert sampler.host(tmp_path) == {"cpu": pytest.approx(2.5), "memory": 800}


def test_processes_are_read_by_their_numbers_and_not_by_their_names(tmp_path: Path) -> None:
    """A name may hold spaces and parentheses."""
    rest = ["S", *map(str, range(4, 53))]
    rest[11], rest[12], rest[19], rest[21] = "250", "50", "777", "10"
    directory = tmp_path / "42"
    directory.mkdir()
    (directory / "stat").write_text(f"42 (PM2 v7 (God) ) {' '.join(rest)}\n")
    (directory / "cmdline").write_bytes(b"PM2 v7.0.4: God Daemon (/opt/web/.pm2)\0")
    found = sampler.process(directory)
    assert (found["id"], found["daemon"]) == ("42-777", True)
    assert (found["cpu"], found["memory"]) == (300 / sampler.TICKS, 10 * sampler.PAGE)


def test_the_sampler_says_a_line_each_second_until_its_input_ends(tmp_path: Path) -> None:
    """On this machine, if its control groups are where they usually are."""
    source = Path(str(sampler.__file__)).read_text().replace('Path("/sys/fs/cgroup")', f'Path("{tmp_path}")')
    for name, text in V2.items():
        (tmp_path / name).write_text(text)
    with subprocess.Popen([sys.executable, "-c", source], stdin=-1, stdout=-1, text=True) as running:
        assert running.stdout
        assert '"processes"' in running.stdout.readline()
        running.communicate()
    assert running.returncode == 0
