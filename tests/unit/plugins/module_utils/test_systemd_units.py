"""Plans for systemd, case by case; the cases are data."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.module_utils import _systemd_units, _systemd_units_model
from ansible_collections.minato.fleet.plugins.module_utils._processes import parse_time
from ansible_collections.minato.fleet.plugins.module_utils._systemd_units_host import look

DATA: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("systemd_units_cases.yml").read_text(encoding="utf-8"))


def named(cases: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def seen(changes: dict[str, Any]) -> _systemd_units.Seen:
    base = copy.deepcopy(DATA["seen"])
    files = {**base.pop("files"), **changes["files"]} if changes.get("files") else changes.get("files", base["files"])
    note = _systemd_units.Note(**base.pop("note"))
    found = {**base, **changes, "files": {path: _systemd_units.File(**file) for path, file in files.items()}}
    return _systemd_units.Seen(**found, note=note)


def planned(case: dict[str, Any]) -> list[_systemd_units.Step]:
    wanted = _systemd_units.expand([{**DATA["unit"], **changes} for changes in case.get("units", [{}])])
    given = case.get("seen", {})
    current = {name: seen(given.get(name, {})) for name in {unit.name for unit in wanted} | set(given)}
    return _systemd_units.plan(current, wanted, case.get("owned", [unit.name for unit in wanted]))


@named(DATA["cases"])
def test_plan(case: dict[str, Any]) -> None:
    assert [str(step) for step in planned(case)] == case["plan"]


@named(DATA["ended"])
def test_why_it_is_not_up(case: dict[str, Any]) -> None:
    said = _systemd_units.how_it_ended(case["shown"], case.get("journal", []), case.get("peak", 0))
    assert said == case["says"].strip()


@named(DATA["refused"])
def test_refused(case: dict[str, Any]) -> None:
    unit = {"name": "api", "command": ["/usr/bin/api"], "user": "api", **case["unit"]}
    assert _systemd_units_model.problems([unit]) == case["says"]


def test_a_name_twice_is_refused() -> None:
    unit = {"name": "api", "command": ["/usr/bin/api"], "user": "api"}
    assert _systemd_units_model.problems([unit, unit]) == [
        "systemd_unit_units has api 2 times. Give each unit a name of its own."
    ]


@pytest.mark.parametrize(
    ("down", "turns"),
    [
        pytest.param(["api@1", "api@2", "web"], [["api@1", "api@2", "web"]], id="nobody loses what does not run"),
        pytest.param(
            ["web"], [["web", "api@1"], ["api@2"]], id="instances that serve one after the other, apps at once"
        ),
        pytest.param(["api@2"], [["api@2", "web"], ["api@1"]], id="the one that does not run before one that serves"),
    ],
)
def test_starts_come_at_once_and_restarts_in_turns(down: list[str], turns: list[list[str]]) -> None:
    units: list[dict[str, Any]] = [{"instances": ["1", "2"]}, {"name": "web"}]
    wanted = _systemd_units.expand([{**DATA["unit"], **changes} for changes in units])
    names = [f"{name}.service" for turn in turns for name in turn]
    steps = [
        _systemd_units.Step("start" if name.partition(".")[0] in down else "restart", name) for name in sorted(names)
    ]
    found = _systemd_units.rounds(steps, wanted)
    assert [[unit.name.partition(".")[0] for _step, unit in turn] for turn in found] == turns


def test_the_instance_stands_for_itself_everywhere() -> None:
    item = {**DATA["unit"], "instances": ["8000"], "working_directory": "/opt/%i", "restart_on": ["/etc/%i.env"]}
    [unit] = _systemd_units.expand([{**item, "health_url": "http://127.0.0.1:%i/"}])
    assert (unit.cwd, unit.restart_on, unit.health_url) == ("/opt/8000", ("/etc/8000.env",), "http://127.0.0.1:8000/")


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        ("plain-word_1.py", "plain-word_1.py"),
        ("$HOME", '"$HOME"'),
        ("%(h)s %r", '"%%(h)s %%r"'),
        ("%i", "%%i"),
        ("", '""'),
        ('say "no"', r'"say \"no\""'),
        (r"back\slash", r'"back\\slash"'),
        ("two\nlines", r'"two\nlines"'),
    ],
)
def test_an_argument_reaches_the_process_as_it_is(argument: str, written: str) -> None:
    assert _systemd_units_model.word(argument, []) == written
    assert shlex.split(written.replace("%%", "%").replace(r"\n", "\n")) == [argument]


def test_an_environment_file_that_may_be_missing_is_watched_all_the_same() -> None:
    unit = {"name": "api", "command": ["/a"], "user": "api", "environment_files": ["-/a.env"], "restart_on": ["/b"]}
    assert _systemd_units_model.model([unit])["units"][0]["restart_on"] == ["/a.env", "/b"]


def test_a_diff_never_shows_a_digest() -> None:
    case = {"seen": {"api.service": {"files": {"/opt/api/.env": {"digest": "cccc", "changed": 1.0}}}}}
    shown = json.dumps(_systemd_units.diff(planned(case)))
    assert "/opt/api/.env" in shown
    assert not {"bbbb", "cccc"} & set(shown.split())


def test_systemd_answers_in_the_order_it_was_asked() -> None:
    said = _systemd_units.parse_show("A=1\nB=x=y\n\nA=2\n", ["one", "two"])
    assert said == {"one": {"A": "1", "B": "x=y"}, "two": {"A": "2"}}


def test_scores_are_read_from_what_people_read() -> None:
    lines = [
        "x",
        "-> Overall exposure level for api@1.service: 1.3 OK :-)",
        "→ Overall exposure level for a.service: 9.6 UNSAFE",
    ]
    said = "\n".join(lines)
    assert _systemd_units.parse_exposure(said) == {"api@1.service": 1.3, "a.service": 9.6}


def test_a_time_is_read_to_the_microsecond() -> None:
    assert parse_time("Sat 2026-11-21 12:14:28.250000 UTC") == 1795263268.25
    assert parse_time("n/a") == parse_time("") == 0


def test_a_file_is_known_by_its_content_and_its_inodes_time(tmp_path: Path) -> None:
    path = tmp_path / "env"
    assert look(str(path)).digest == "absent"
    path.write_text("A=1")
    before = look(str(path))
    assert before.changed == path.stat().st_ctime
    path.write_text("A=2")
    assert look(str(path)).digest != before.digest
