"""An archive that was built elsewhere, and the app's own commands at the points of a deploy."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.molecule.shared.load import asking
from ansible_collections.minato.fleet.plugins.module_utils._release_hooks import POINTS as HOOKS

CATALOG = Path(__file__).resolve().parents[1] / "inventory" / "group_vars" / "all" / "apps.yml"
NAME, PATH = "voicedrive-api", "/api/social/posts"
POINTS = f"/var/log/{NAME}/points"
LINKS = (".env", "RELEASE.json")  # that a release is given on its host
PASSED = [point for point in HOOKS if point != "on_failure"]


def catalog(**changes: Any) -> list[dict[str, Any]]:
    """The scenario's apps, with some keys of this one changed; None takes a key away."""
    apps: list[dict[str, Any]] = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))["fleet_apps"]
    app = next(app for app in apps if app["name"] == NAME)
    hooks = {point: {"command": f"""sh -c 'echo "$FLEET_POINT" >> {POINTS}'""", "timeout": 10} for point in HOOKS}
    app.update({"hooks": hooks, **changes})
    for key in [key for key, value in app.items() if value is None]:
        del app[key]
    return apps


@pytest.fixture
def artifact(app_named: Any, tmp_path: Path) -> dict[str, str]:
    """What serves now, with its dependencies, as an archive of the controller's."""
    app = app_named(NAME)
    serving = f"{app.home}/releases/{app.says()['release']}"
    packed = tmp_path / f"{NAME}.tar.gz"
    pack = ["tar", "--create", "--gzip", f"--directory={serving}", *(f"--exclude=./{link}" for link in LINKS), "."]
    command = ["docker", "exec", "minato-site_deploys-1", *pack]
    packed.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return {"path": str(packed), "sha256": hashlib.sha256(packed.read_bytes()).hexdigest()}


def points(host: Any) -> list[str]:
    """Those that the app's commands ran at, since the last time."""
    found = host.check_output(f"test ! -e {POINTS} || cat {POINTS}; rm --force {POINTS}")
    return list(found.split())


def test_an_artifact_is_deployed_and_each_point_is_passed(
    artifact: dict[str, str], app_named: Any, play: Any, host: Any, users: dict[str, dict[str, str]]
) -> None:
    app = app_named(NAME)
    apps = catalog(artifact=artifact, version="v9.1", repository=None)
    wrong = catalog(artifact={**artifact, "sha256": "0" * 64}, version="v9.1", repository=None)
    before = app.says()["release"]
    run = play("deploy", app=NAME, fleet_apps=wrong)
    assert run.returncode != 0
    assert artifact["sha256"] in run.stdout, "the message has the checksum that it does have"
    assert app.says()["release"] == before
    with asking(app.site, {PATH: users[NAME]}) as found:
        run = play("deploy", app=NAME, fleet_apps=apps)
    assert run.returncode == 0, run.stdout[-3000:]
    assert found[PATH].failures == []
    release = app.says()["release"]
    assert release != before
    assert app.running() == {f"{app.home}/releases/{release}"}
    assert points(host) == PASSED


def test_a_command_of_the_app_that_fails_ends_the_deploy(app_named: Any, play: Any, host: Any) -> None:
    """On the way back to the repository: before the switch the old release stays, after it the new one does."""
    app = app_named(NAME)
    before = app.says()["release"]
    commit = app.push(NOTE="after the artifact")
    on_failure = next(each for each in catalog() if each["name"] == NAME)["hooks"]["on_failure"]
    for point, serving in (("before_switch", before), ("after_switch", None)):
        hooks = {point: {"command": "false"}, "on_failure": on_failure}
        run = play("deploy", app=NAME, fleet_apps=catalog(hooks=hooks))
        assert run.returncode != 0
        assert point in run.stdout
        assert serving in (app.says()["release"], None)
        assert app.running() == {f"{app.home}/releases/{app.says()['release']}"}
        assert points(host) == (["on_failure"] if serving else [])
    assert app.says()["commit"] == commit
