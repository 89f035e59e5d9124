"""Back to the release before, and the list of what there is."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible_collections.minato.fleet.molecule.shared.load import asking

PATHS = {"medical-api": "/api/medical/staff", "voicedrive-api": "/api/social/posts"}
MIGRATION = "900_wards.sql"
MIGRATIONS = {"medical-api": {f"migrations__{MIGRATION}": "CREATE TABLE IF NOT EXISTS wards (name text);\n"}}


def test_a_rollback_fails_no_request_and_another_one_comes_back(
    app: Any, play: Any, users: dict[str, dict[str, str]]
) -> None:
    """The deploy before it is the first one after a release that was bad: nothing was cleaned up by hand."""
    first, migrations = app.says(), MIGRATIONS.get(app.name, {})
    commit = app.push(NOTE=str(time.time()), **migrations)
    run = play("deploy", app=app.name)
    assert run.returncode == 0, run.stdout[-3000:]
    second = app.says()
    assert second["commit"] == commit
    if migrations:
        run = play("rollback", app=app.name)
        assert run.returncode != 0
        assert MIGRATION in run.stdout, "the code of before does not know it"
        assert app.says()["release"] == second["release"]
    for wanted in (first, second) if app.name == "voicedrive-api" else (first,):
        began = time.monotonic()
        with asking(app.site, {PATHS[app.name]: users[app.name]}) as found:
            run = play("rollback", app=app.name, across_migrations=bool(migrations))
        print(f"rollback of {app.name}: {time.monotonic() - began:.1f} s")
        assert run.returncode == 0, run.stdout[-3000:]
        assert found[PATHS[app.name]].failures == []
        assert app.says()["release"] == wanted["release"]
        assert app.running() == {f"{app.home}/releases/{wanted['release']}"}


def test_every_deploy_and_rollback_is_a_line_of_history(app: Any, host: Any) -> None:
    lines = [json.loads(line) for line in host.file(f"{app.home}/history.jsonl").content_string.splitlines()]
    assert lines[-1]["action"] == "rollback"
    assert lines[-1]["result"] == "ok"
    assert lines[-1]["release"] == app.says()["release"]
    assert {"reverted", "ok"} <= {line["result"] for line in lines}


def test_the_list_shows_what_really_runs(app_named: Any, play: Any, host: Any) -> None:
    """Proven from the process: one that runs in a directory of before is told apart."""
    app = app_named("voicedrive-api")
    serving, old = app.says()["release"], sorted(set(app.releases()) - {app.says()["release"]})[0]
    host.check_output(
        f"systemd-run --quiet --unit=stale-{app.name} --uid={app.name}"
        f" --working-directory={app.home}/releases/{old} sleep 600"
    )
    run = play("releases", app=app.name)
    host.check_output(f"systemctl stop stale-{app.name}")
    assert run.returncode == 0, run.stdout[-3000:]
    pids = host.check_output(f"pgrep -u {app.name} -f server.js").split()
    row = next(line for line in run.stdout.splitlines() if serving in line)
    assert all(pid in row for pid in pids), row
    assert f"runs in {app.home}/releases/{old}" in run.stdout
