"""Plans for PM2, case by case; the cases are data."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.module_utils import _pm2

DATA: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("pm2_cases.yml").read_text(encoding="utf-8"))
NODE_BIN = "/opt/node/20/bin"
TOLD_AS_THEY_ARE = (
    *("min_uptime", "kill_timeout", "listen_timeout", "wait_ready"),
    *("max_restarts", "exp_backoff_restart_delay"),
)


def named(cases: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def app_like(changes: dict[str, Any]) -> dict[str, Any]:
    return {**copy.deepcopy(DATA["app"]), **changes}


def process_like(changes: dict[str, Any]) -> dict[str, Any]:
    """An entry of `pm2 jlist`, the kernel's directory beside it."""
    base = copy.deepcopy(DATA["process"])
    env = {**base.pop("env"), **changes.get("env", {})}
    pm2_env = {**base.pop("pm2_env"), **changes.get("pm2_env", {})}
    pm2_env["env"] = {key: value for key, value in env.items() if value is not None}
    return {**base, **changes, "pm2_env": pm2_env}


def observed(case: dict[str, Any], key: str) -> tuple[_pm2.Process, ...]:
    if key == "processes" and "output" in case:
        entries = _pm2.parse_jlist(case["output"])
    else:
        entries = [process_like(each) for each in case.get(key, case.get("processes", [{}]))]
    cwd = "cwd" if key == "processes" else "no such key"
    found = [_pm2.observe(entry, entry.get(cwd, "")) for entry in entries]
    silent = case.get("unready", []) if key == "processes" else []
    return tuple(process._replace(ready=process.pid not in silent) for process in found if process is not None)


def current(case: dict[str, Any]) -> _pm2.Current:
    daemon = {"active": True, "enabled": True, "version": "7.0.4", **case.get("daemon", {})}
    daemons = {
        "api": _pm2.Daemon(**daemon, processes=observed(case, "processes"), saved=observed(case, "saved")),
        **{user: _pm2.Daemon(**each) for user, each in case.get("others", {}).items()},
    }
    return _pm2.Current(case.get("installed", "7.0.4"), daemons)


def wanted(case: dict[str, Any]) -> _pm2.Wanted:
    apps = [app_like(changes) for changes in case.get("apps", [{}])]
    _pm2.check(apps, NODE_BIN)
    return _pm2.Wanted(
        "7.0.4", {"api": [_pm2.wanted_app(app, app["cwd"], "/opt/api", app["restart_on"]) for app in apps]}
    )


@named(DATA["cases"])
def test_plan(case: dict[str, Any]) -> None:
    assert [str(step) for step in _pm2.plan(current(case), wanted(case))] == case["plan"]


@named(DATA["refused"])
def test_refused(case: dict[str, Any]) -> None:
    with pytest.raises(_pm2.RefusedError) as caught:
        _pm2.check([app_like(changes) for changes in case["apps"]], NODE_BIN)
    assert str(caught.value) == case["says"]


@named(DATA["unready"])
def test_what_was_never_ready_is_told_by_the_time_that_pm2_waited_for_it(case: dict[str, Any]) -> None:
    app = wanted({"apps": [case.get("app", {})]}).apps["api"][0]
    found = [_pm2.observe(process_like({"pm2_env": {"pm_uptime": start}})) for start in case["starts"]]
    silent = _pm2.unready(app, [process for process in found if process is not None], case["ended"] / 1000)
    assert [process.started * 1000 for process in silent] == case["found"]


def test_what_pm2_is_told_is_what_is_compared() -> None:
    """PM2's record of a declaration, read back, is no difference."""
    app = wanted({}).apps["api"][0]
    told = json.loads(json.dumps(_pm2.declaration(app)))["apps"][0]
    record = {
        **{key: told[key] for key in ("name", "args", "env", *TOLD_AS_THEY_ARE)},
        "status": "online",
        "pm_cwd": told["cwd"],
        "pm_exec_path": told["script"],
        "exec_interpreter": told["interpreter"],
        "exec_mode": told["exec_mode"] + "_mode",
        "max_memory_restart": told["max_memory_restart"],
        "pm_out_log_path": told["out_file"],
        "pm_err_log_path": told["error_file"],
    }
    process = _pm2.observe({"name": "api", "pid": 1, "pm2_env": record}, app.cwd)
    assert process is not None
    assert _pm2.compare(app, [process]) == ()


def test_a_diff_never_shows_what_a_shell_left_in_the_environment() -> None:
    case = {"processes": [{"env": {"TOKEN": "hunter2"}}]}
    assert "hunter2" not in json.dumps(_pm2.diff(_pm2.plan(current(case), wanted({}))))


@pytest.mark.parametrize("output", ["", "[PM2] Spawning PM2 daemon", "[PM2][ERROR] Permission denied\n", "[1, 2]"])
def test_output_without_a_list_is_an_error(output: str) -> None:
    with pytest.raises(ValueError, match="no list of processes"):
        _pm2.parse_jlist(output)


def test_phases_hold_every_action_once() -> None:
    actions = [action for phase in _pm2.PHASES for action in phase]
    assert sorted(actions) == sorted(set(actions))


def test_what_runs_beside_another_of_its_app_has_its_own_logs() -> None:
    app = {"name": "web", "log_dir": "/var/log/web"}
    assert _pm2.log_file(app, "out") == "/var/log/web/out.log"
    assert _pm2.log_file({**app, "app": "web"}, "out") == "/var/log/web/out.log"
    assert _pm2.log_file({**app, "name": "web-b", "app": "web"}, "error") == "/var/log/web/error-b.log"
