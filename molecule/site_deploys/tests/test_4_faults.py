"""Whatever ends a deploy in the middle: the app goes on answering, and the next plain deploy needs no hand before it.

With FAULTS=all in the environment every task of a deploy that does something on the host and 30 moments by chance are
tried, and whatever else is here; without it the few that the others are like.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.shared import faults
from ansible_collections.minato.fleet.molecule.shared.load import asking

INVENTORY = Path(__file__).resolve().parents[1] / "inventory" / "hosts.yml"
PATHS = {"medical-api": "/api/medical/staff", "voicedrive-api": "/api/social/posts"}
WHOLE = os.environ.get("FAULTS") == "all"
LONG = pytest.mark.skipif(not WHOLE, reason="takes long: FAULTS=all")
HOST = "minato-site_deploys-1"


def recovers(app: Any, play: Any) -> None:
    """A plain deploy of a further commit, and nothing else."""
    commit = app.push(NOTE=str(time.time()))
    run = play("deploy", app=app.name)
    assert run.returncode == 0, run.stdout[-3000:]
    assert app.says()["commit"] == commit
    assert app.running() == {f"{app.home}/releases/{app.says()['release']}"}
    assert len(app.releases()) <= 5


def goes_on(app: Any, users: dict[str, dict[str, str]], fault: Any) -> None:
    """The fault happens while the app is asked, and the app answers as before or with the new release."""
    with asking(app.site, {PATHS[app.name]: users[app.name]}) as found:
        fault()
        faults.settle()
        found[PATHS[app.name]].wait_for(20)
    assert found[PATHS[app.name]].failures == []
    assert app.says()["database"] == "ok"


@LONG
def test_the_controller_is_killed_before_each_task(
    app: Any, play: Any, users: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    app.push(NOTE=str(time.time()))
    names = faults.tasks(INVENTORY, app.name, tmp_path / "names")
    for number in names:
        app.push(NOTE=str(time.time()))

        def fault(number: int = number) -> None:
            assert faults.kill_before(number, INVENTORY, app.name), f"there is no task {number}"

        goes_on(app, users, fault)
        recovers(app, play)
    print(f"{app.name}: killed before each of {len(names)} tasks: {', '.join(names.values())}")


@LONG
def test_the_controller_is_killed_at_any_moment(app: Any, play: Any, users: dict[str, dict[str, str]]) -> None:
    moments = [random.Random(number).uniform(2, 20) for number in range(15)]
    for turn, moment in enumerate(moments):
        app.push(NOTE=str(time.time()))
        goes_on(app, users, lambda moment=moment: faults.kill_after(moment, INVENTORY, app.name))
        if turn % 5 == 4:
            recovers(app, play)


def test_the_disk_has_no_room(app_named: Any, play: Any, users: dict[str, dict[str, str]]) -> None:
    """Before anything is unpacked."""
    app = app_named("voicedrive-api")
    before = app.releases()
    app.push(NOTE=str(time.time()))

    def fault() -> None:
        run = play("deploy", app=app.name, app_disk_reserve_mb=99999999)
        assert run.returncode != 0
        assert "shall stay free" in run.stdout, run.stdout[-3000:]

    goes_on(app, users, fault)
    assert app.releases() == before


@pytest.mark.parametrize("name", [pytest.param("medical-api", marks=LONG), "voicedrive-api"], ids=["pm2", "systemd"])
def test_the_host_is_restarted_in_the_middle_of_the_switch(name: str, app_named: Any, play: Any) -> None:
    """The controller is killed, nginx asks the new release already, and the host goes down: both come back."""
    app = app_named(name)
    app.push(NOTE=str(time.time()))
    assert faults.kill_before("Switch to", INVENTORY, app.name)
    subprocess.run(["docker", "restart", HOST], check=True, capture_output=True)
    deadline = time.monotonic() + 180
    while not _well(app):
        assert time.monotonic() < deadline, f"{app.name} has not come back"
        time.sleep(0.5)
    recovers(app, play)


def _well(app: Any) -> bool:
    try:
        return bool(app.says(seconds=0))
    except (OSError, AssertionError):
        return False


@pytest.mark.parametrize(
    ("name", "changes", "word"),
    [
        ("medical-api", {"migrations__999_broken.sql": "SELECT nothing FROM nowhere;\n"}, "nowhere"),
        pytest.param("voicedrive-api", {"package-lock.json": "{}\n"}, "npm ci", marks=LONG),
    ],
    ids=["migration", "npm ci"],
)
def test_a_step_that_breaks(
    name: str, changes: dict[str, str], word: str, app_named: Any, play: Any, users: dict[str, dict[str, str]]
) -> None:
    app = app_named(name)
    before = app.running()
    app.push(**changes)

    def fault() -> None:
        run = play("deploy", app=app.name)
        assert run.returncode != 0
        assert word in run.stdout, run.stdout[-3000:]

    goes_on(app, users, fault)
    assert app.running() == before
    recovers(app, play)


@LONG
def test_the_database_is_away(app_named: Any, play: Any, db_host: Any) -> None:
    app = app_named("medical-api")
    before = app.running()
    app.push(NOTE=str(time.time()))
    db_host.check_output("systemctl stop postgresql")
    try:
        run = play("deploy", app=app.name)
    finally:
        db_host.check_output("systemctl start postgresql")
    assert run.returncode != 0
    assert app.running() == before
    recovers(app, play)


@LONG
def test_the_new_processes_are_killed_while_they_start(app: Any, play: Any, users: dict[str, dict[str, str]]) -> None:
    app.push(NOTE=str(time.time()))
    old = set(app.host.check_output(f"pgrep -u {app.name} -f server.js").split())

    def fault() -> None:
        run = faults.start("deploy", INVENTORY, app.name)
        until = time.monotonic() + 120
        killed = 0
        while run.poll() is None and time.monotonic() < until:
            young = set(app.host.run(f"pgrep -u {app.name} -f server.js").stdout.split()) - old
            if young and killed < 10:
                app.host.run(f"kill -KILL {' '.join(young)}")
                killed += 1
            time.sleep(0.1)
        run.wait(300)
        assert killed, "no process was new"

    goes_on(app, users, fault)
    recovers(app, play)


FLAPPING = """
require('dotenv').config({ path: `${__dirname}/.env`, quiet: true });
let asked = 0;
require('node:http').createServer((question, answer) => {
  answer.statusCode = ++asked % 2 ? 503 : 200;
  answer.end('{"database": "ok"}');
}).listen(process.env.PORT, '127.0.0.1', () => { if (process.send) process.send('ready'); });
"""


@LONG
def test_its_health_flaps(app: Any, play: Any) -> None:
    """The gate lets it in, or it does not. Either way one release runs, and the next deploy takes over."""
    app.push(server_DOT_js=FLAPPING + f"// {time.time()}\n")
    run = play("deploy", app=app.name)
    assert len(app.running()) == 1
    print(f"{app.name}: exit code {run.returncode}")
    recovers(app, play)


@LONG
def test_fifty_deploys_in_a_row_leave_five_releases_and_no_growth(app: Any, play: Any, host: Any) -> None:
    """The fifth is the first that has as many releases beside it as are kept: all is compared with what it left."""
    left: list[dict[str, int]] = []
    for _turn in range(50):
        commit = app.push(NOTE=str(time.time()))
        began = time.monotonic()
        run = play("deploy", app=app.name)
        assert run.returncode == 0, run.stdout[-3000:]
        assert app.says()["commit"] == commit
        left.append(
            {
                "seconds": round(time.monotonic() - began),
                "releases": len(app.releases()),
                "processes": int(host.check_output(f"pgrep -c -u {app.name}")),
                "kB of the app": int(host.check_output(f"du -sk {app.home}").split()[0]),
                "kB of the host": int(host.check_output("du -skx / 2>/dev/null || true").split()[0]),
            }
        )
        print(f"{app.name}: {left[-1]}")
    full, last = left[4], left[-1]
    assert [last["releases"], last["processes"]] == [5, full["processes"]]
    assert last["kB of the app"] < full["kB of the app"] + 1024
    assert last["kB of the host"] < full["kB of the host"] + 20 * 1024  # the journal, and what was logged
