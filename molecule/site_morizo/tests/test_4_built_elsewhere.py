"""S3.8: the web app is built on the controller and shipped. The box of 1 GB builds nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.molecule.shared import git
from ansible_collections.minato.fleet.molecule.shared.controller_node import node_bin
from ansible_collections.minato.fleet.molecule.shared.playbook import ROOT

INVENTORY = "inventory_own_tls"
SERVER = "minato-site_morizo-outside"
SOURCE = ROOT / "tests" / "apps" / "morizo-web"
CATALOG = Path(__file__).parents[1] / INVENTORY / "group_vars" / "all" / "apps.yml"
WEB = {
    "build_on": "controller",
    "build": "npm run build:standalone && rm -rf node_modules .next/cache",
    "script": ".next/standalone/server.js",
}


def steps_on_the_host(app_host: Any) -> int:
    """How often install, build or migration of the web app ran there."""
    return int(app_host.check_output("journalctl --no-pager -o cat | grep -c '^Started minato-app-morizo-web' || true"))


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The catalog with the build elsewhere. The controller does not know the git server by its name."""
    directory = tmp_path_factory.mktemp("controller")
    web, *others = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))["fleet_apps"]
    wanted = {
        "fleet_apps": [{**web, **WEB}, *others],
        "app_artifacts": str(directory / "artifacts"),
        "app_controller_path": [str(node_bin(directory))],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_COUNT", "1")
        patch.setenv("GIT_CONFIG_KEY_0", f"url.git://{git.address(SERVER)}/.insteadOf")
        patch.setenv("GIT_CONFIG_VALUE_0", "git://outside.test/")
        yield ["--extra-vars", json.dumps(wanted)]


@pytest.fixture(scope="module")
def shipped(play: Any, app_host: Any, arguments: list[str]) -> tuple[str, int, int]:
    """The commit, and how many steps had run on the host before and after."""
    commit = git.push(SERVER, "morizo-web", SOURCE, {"BUILT": "elsewhere\n"})
    before = steps_on_the_host(app_host)
    done = play("site", *arguments, inventory=INVENTORY)
    assert done.returncode == 0, done.stdout
    return commit, before, steps_on_the_host(app_host)


def test_the_app_serves_what_the_controller_built(shipped: tuple[str, int, int], site: Any, app_host: Any) -> None:
    site.until_up()
    status, _headers, version = site.ask("/api/version")
    assert (status, version["commit"]) == (200, shipped[0])
    manifest = json.loads(app_host.file("/opt/morizo-web/current/RELEASE.json").content_string)
    assert (manifest["built_on"], manifest["commit"]) == ("controller", shipped[0])


def test_its_pages_have_what_the_build_was_given(shipped: tuple[str, int, int], site: Any) -> None:
    status, _headers, page = site.ask("/")
    assert status == 200
    assert "https://supabase.morizo.test" in page


def test_no_build_ran_on_the_host(shipped: tuple[str, int, int]) -> None:
    _commit, before, after = shipped
    assert before >= 2, "install and build of the first deploy, which ran here"
    assert after == before


def test_what_was_shipped_is_small(shipped: tuple[str, int, int], app_host: Any) -> None:
    megabytes = int(app_host.check_output("du -sm /opt/morizo-web/current/ | cut -f1"))
    print(f"the release takes {megabytes} MB")
    assert megabytes < 60


def test_a_second_run_changes_nothing(shipped: tuple[str, int, int], play: Any, arguments: list[str]) -> None:
    done = play("site", *arguments, inventory=INVENTORY)
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout.split("PLAY RECAP")[1]


def test_a_controller_that_cannot_build_is_told_before_anything_is_touched(play: Any, arguments: list[str]) -> None:
    wanted = json.loads(arguments[1])
    wanted["fleet_apps"][0]["node_version"] = "99"
    done = play("site", "--extra-vars", json.dumps(wanted), inventory=INVENTORY)
    assert done.returncode != 0
    assert "morizo-web: build_on: controller needs Node.js 99 on the controller" in done.stdout
    assert "changed=0" in done.stdout.split("PLAY RECAP")[1]
    assert "TASK [minato.fleet.base" not in done.stdout
