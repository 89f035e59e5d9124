"""Plans carried out on a systemd that is only pretended."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.module_utils import _systemd_units_host
from ansible_collections.minato.fleet.plugins.module_utils._systemd_units import Step, Unit, expand, plan

ITEM = {
    "name": "api",
    "activation": "service",
    "instances": ["1", "2"],
    "working_directory": "",
    "restart_on": [],
    "min_uptime": 0,
    "health_url": "",
    "health_timeout": 0,
    "warm_up_url": "",
    "enabled": True,
    "state": "started",
}


class Systemd:
    """Units by name, with systemd's properties; those in `broken` end as soon as they are started."""

    def __init__(self, broken: Sequence[str] = ()) -> None:
        self.units: dict[str, dict[str, str]] = {}
        self.broken = broken
        self.said: list[str] = []
        self.scored = 0

    def of(self, name: str) -> dict[str, str]:
        return self.units.setdefault(name, {"LoadState": "loaded", "ActiveState": "inactive", "MainPID": "0"})

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        names = command[command.index("--") + 1 :] if "--" in command else []
        verb = " ".join(command[:2])
        if verb == "systemctl show":
            blocks = ["\n".join(f"{key}={value}" for key, value in self.of(name).items()) for name in names]
            return 0, "\n\n".join(blocks) + "\n", ""
        if verb == "journalctl --no-pager":
            return 0, "no database today\n", ""
        if verb == "systemd-analyze security":
            self.scored += 1
            return 0, "".join(f"-> Overall exposure level for {name}: 1.3 OK\n" for name in command[3:]), ""
        self.said.append(" ".join([command[1], *names]))
        for name in names:
            if command[1] == "restart":
                self.start(self.of(name), broken=name in self.broken)
            if command[1] == "stop":
                self.of(name)["ActiveState"] = "inactive"
            if command[1] in ("enable", "disable"):
                self.of(name)["UnitFileState"] = command[1] + "d"
        return 0, "", ""

    def start(self, unit: dict[str, str], broken: bool) -> None:
        now = datetime.now(UTC).strftime("%a %Y-%m-%d %H:%M:%S.%f UTC")
        unit.update(ExecMainStartTimestamp=now, InvocationID=now, ActiveState="active")
        if broken:
            unit.update(ActiveState="activating", SubState="auto-restart", ExecMainCode="1", ExecMainStatus="7")
            unit.update(Result="exit-code")


@pytest.fixture(autouse=True)
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_systemd_units_host, "BOOKS", str(tmp_path / "books"))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    return tmp_path / "books/apps.json"


def host_of(systemd: Systemd) -> _systemd_units_host.Host:
    return _systemd_units_host.Host(systemd, "apps", check_mode=False)


def carried_out(
    systemd: Systemd, *items: dict[str, Any]
) -> tuple[list[Unit], list[Step], list[_systemd_units_host.Failure], list[Step]]:
    host = host_of(systemd)
    units = host.resolve(expand([{**ITEM, **item} for item in items]))
    steps = plan(host.read(units), units, host.owned())
    failures = host.apply(units, steps)
    left = host.left(units, failures)
    host.exposure(units)
    host.remember(units)
    return units, steps, failures, left


def changed(path: Path) -> None:
    """A file that processes have read has another text than then."""
    path.write_text(f"{path.read_text()} and more" if path.exists() else "first", encoding="utf-8")


def test_what_does_not_run_starts_at_once_and_instances_that_serve_take_turns(tmp_path: Path) -> None:
    systemd, file = Systemd(), tmp_path / "environment"
    changed(file)
    items = {"restart_on": [str(file)]}, {"name": "web", "instances": [], "restart_on": [str(file)]}
    assert carried_out(systemd, *items)[2:] == ([], [])
    changed(file)
    assert carried_out(systemd, *items)[2:] == ([], [])
    assert [said for said in systemd.said if said.startswith(("enable", "restart"))] == [
        "enable api@1.service api@2.service web.service",
        "restart api@1.service api@2.service web.service",
        "restart api@1.service web.service",
        "restart api@2.service",
    ]


def test_an_app_that_fails_keeps_its_other_instances_and_leaves_the_others_alone(tmp_path: Path) -> None:
    systemd, file = Systemd(), tmp_path / "environment"
    changed(file)
    items = {"restart_on": [str(file)]}, {"name": "web", "instances": ["1", "2"], "restart_on": [str(file)]}
    carried_out(systemd, *items)
    changed(file)
    systemd.said.clear()
    systemd.broken = ["api@1.service"]
    _units, _steps, [failure], left = carried_out(systemd, *items)
    assert str(failure) == (
        "unit api@1.service ended with exit code 7 (Result exit-code). The end of its journal:\nno database today"
    )
    assert left == []
    assert [said for said in systemd.said if said.startswith("restart")] == [
        "restart api@1.service web@1.service",
        "restart web@2.service",
    ]


def test_a_second_run_does_nothing_and_the_book_is_roots(books: Path) -> None:
    systemd = Systemd()
    carried_out(systemd, {})
    systemd.said.clear()
    book = json.loads(books.read_text())
    assert books.stat().st_mode & 0o777 == 0o600
    assert set(book["units"]) == {"api@1.service", "api@2.service"}
    assert carried_out(systemd, {})[1:] == ([], [], [])
    assert systemd.said == []


def test_what_leaves_the_list_is_stopped_also_when_its_file_is_gone() -> None:
    systemd = Systemd()
    carried_out(systemd, {})
    systemd.units["api@2.service"]["LoadState"] = "not-found"
    systemd.said.clear()
    _units, steps, _failures, _left = carried_out(systemd, {"instances": ["1"]})
    assert [str(step) for step in steps] == ["retire api@2.service (state: active -> not wanted any more)"]
    assert systemd.said[0] == "stop api@2.service"
    assert carried_out(systemd, {"instances": ["1"]})[1] == []


def test_a_file_that_changes_while_the_app_starts_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = tmp_path / "env"
    env.write_text("A=1")
    systemd = Systemd()
    start = systemd.start

    def start_and_change(unit: dict[str, str], broken: bool) -> None:
        start(unit, broken)
        env.write_text("A=2")

    monkeypatch.setattr(systemd, "start", start_and_change)
    left = carried_out(systemd, {"instances": [], "restart_on": [str(env)]})[3]
    assert [str(step) for step in left] == [f"restart api.service ({env}: as it was read -> changed since)"]


def test_an_app_that_is_not_well_fails_with_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_systemd_units_host, "complaint", lambda url: f"status 503: no database ({url})")
    item = {"instances": [], "health_url": "http://127.0.0.1/", "health_timeout": -1}
    [failure] = carried_out(Systemd(), item)[2]
    assert "cannot do its work" in failure.what
    assert "http://127.0.0.1/ answered with status 503: no database" in failure.what


def test_a_link_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(_systemd_units_host.FailedError, match="leads to no directory"):
        carried_out(Systemd(), {"working_directory": "/no/such/place"})


def test_a_score_is_asked_for_once(tmp_path: Path) -> None:
    file = tmp_path / "api.service"
    file.write_text("[Service]")
    systemd = Systemd()
    systemd.of("api.service")["FragmentPath"] = str(file)
    carried_out(systemd, {"instances": []})
    carried_out(systemd, {"instances": []})
    assert systemd.scored == 1
    file.write_text("[Service]\nPrivateTmp=no")
    carried_out(systemd, {"instances": []})
    assert systemd.scored == 2
