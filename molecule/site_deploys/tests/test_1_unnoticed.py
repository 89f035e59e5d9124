"""Deploys while both systems are used: nobody is refused, and everybody is answered by the new code afterwards."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.shared.load import asking, listening

PATHS = {"medical-api": "/api/medical/staff", "voicedrive-api": "/api/social/posts"}
FEED = "/api/social/feed"
CLIENTS = 10


@pytest.fixture
def paths(users: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    return {PATHS[name]: headers for name, headers in users.items()}


def test_a_deploy_fails_no_request(
    app: Any, play: Any, host: Any, paths: dict[str, dict[str, str]], users: dict[str, dict[str, str]]
) -> None:
    before, slot = app.says()["release"], app.slot()
    commit = app.push(NOTE=str(time.time()))
    with asking(app.site, paths) as found, listening(app.site, FEED, users["voicedrive-api"], CLIENTS) as listeners:
        run = play("deploy", app=app.name)
        for asked in found.values():
            asked.wait_for(40)
    print(*found.values(), sep="\n")
    assert run.returncode == 0, run.stdout[-3000:]
    assert [asked.failures for asked in found.values()] == [[], []]

    says = app.says()
    assert says["commit"] == commit
    assert says["release"] != before
    assert app.slot() != slot
    assert app.running() == {f"{app.home}/releases/{says['release']}"}
    assert app.state(says["release"]) == "active"
    assert app.state(before) == "ready"
    assert not host.file(f"{app.home}/slots/{slot}").exists
    assert not host.file(f"{app.home}/slots/{slot}.env").exists

    told = 1012 if app.name == "voicedrive-api" else None
    assert [listener.codes for listener in listeners] == [[told] if told else []] * CLIENTS
    away = [seconds for listener in listeners for seconds in listener.away]
    assert len(away) == (CLIENTS if told else 0)
    assert max(away, default=0) < 5


def test_the_same_version_again_changes_nothing(app_named: Any, play: Any) -> None:
    app = app_named("medical-api")
    before = app.running()
    run = play("deploy", app=app.name)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "changed=0" in run.stdout.rsplit("PLAY RECAP", 1)[1]
    assert app.running() == before


def test_another_environment_goes_the_same_road(
    app_named: Any, play: Any, host: Any, paths: dict[str, dict[str, str]]
) -> None:
    """One variable more: the same release with a new environment beside the old one, and no other app is touched."""
    app, other = app_named("voicedrive-api"), app_named("medical-api")
    others = host.check_output(f"pgrep -u {other.name} -f server.js")
    before, slot = app.says()["release"], app.slot()
    with asking(app.site, paths) as found:
        run = play("site", "--tags", "apps", voicedrive_api_env={"EXTRA": "one"})
        for asked in found.values():
            asked.wait_for(40)
    assert run.returncode == 0, run.stdout[-3000:]
    assert [asked.failures for asked in found.values()] == [[], []]
    assert app.says()["release"] == before
    assert app.slot() != slot
    assert "EXTRA=" in host.file(f"{app.home}/slots/{app.slot()}.env").content_string
    assert host.check_output(f"pgrep -u {other.name} -f server.js") == others
