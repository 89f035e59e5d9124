"""Both systems of S2 as their users reach them, and the playbooks of a deploy."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import testinfra
from ansible_collections.minato.fleet.molecule.shared import git
from ansible_collections.minato.fleet.molecule.shared.playbook import ROOT, run_playbook
from ansible_collections.minato.fleet.molecule.shared.s2 import medical_user, read_secrets, social_user
from ansible_collections.minato.fleet.molecule.shared.site import Site, address_of

STATE = ROOT / ".ansible" / "site_deploys"
INVENTORY = Path(__file__).resolve().parents[1] / "inventory" / "hosts.yml"
HEALTH = {"medical-api": "/health", "voicedrive-api": "/api/social/health"}


class App:
    """One app of the host, and its repository."""

    def __init__(self, name: str, host: Any, site: Site) -> None:
        self.name, self.host, self.site = name, host, site
        self.home = f"/opt/{name}"

    def push(self, **changes: str | None) -> str:
        """A further commit of the app, with some files changed; ``__`` stands for a slash. Gives the commit."""
        files = {name.replace("__", "/").replace("_DOT_", "."): text for name, text in changes.items()}
        return str(git.push("minato-site_deploys-outside", self.name, ROOT / "tests" / "apps" / self.name, files))

    def says(self, seconds: float = 20) -> dict[str, Any]:
        """What the app says of itself to its users. On a busy machine its database may be late for the health check."""
        deadline = time.monotonic() + seconds
        while True:
            status, _headers, health = self.site.ask("GET", HEALTH[self.name])
            if status == 200:
                return dict(health)
            assert time.monotonic() < deadline, health
            time.sleep(1)

    def slot(self) -> str:
        """The slot that serves."""
        return str(self.host.check_output(f"readlink {self.home}/current")).rsplit("/", 1)[-1]

    def state(self, release: str) -> str:
        found: dict[str, Any] = json.loads(self.host.file(f"{self.home}/releases/{release}.json").content_string)
        return str(found["state"])

    def releases(self) -> list[str]:
        return list(self.host.check_output(f"ls {self.home}/releases | grep json$ | sed s/.json$//").split())

    def running(self) -> set[str]:
        """The directories that the app's processes are in, as the kernel tells it."""
        user = f"setpriv --reuid={self.name} --regid={self.name} --clear-groups"
        found = self.host.check_output(
            f"for pid in $(pgrep -u {self.name} -f server.js); do {user} readlink /proc/$pid/cwd || true; done"
        )
        return set(found.split())


@pytest.fixture(scope="session")
def host() -> Any:
    return testinfra.get_host("docker://minato-site_deploys-1")


@pytest.fixture(scope="session")
def db_host() -> Any:
    return testinfra.get_host("docker://minato-site_deploys-db")


@pytest.fixture(scope="session")
def site() -> Site:
    return Site("api.s2.test", address_of("minato-site_deploys-1"), STATE / "pebble-root.pem")


@pytest.fixture(scope="session")
def users(site: Site) -> dict[str, dict[str, str]]:
    """Headers of a request to each app."""
    return {"medical-api": medical_user(read_secrets(STATE)), "voicedrive-api": social_user(site)}


@pytest.fixture(scope="session")
def play() -> Any:
    """Run one of the project's playbooks on the scenario's host; its output holds stderr too."""

    def run(name: str, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        playbook = ROOT / "playbooks" / f"{name}.yml"
        return run_playbook(playbook, *arguments, inventory=str(INVENTORY), **variables)

    return run


@pytest.fixture(scope="session")
def app_named(host: Any, site: Site) -> Callable[[str], App]:
    return lambda name: App(name, host, site)


@pytest.fixture(params=["medical-api", "voicedrive-api"], ids=["pm2", "systemd"])
def app(request: pytest.FixtureRequest, app_named: Callable[[str], App]) -> App:
    """Each kind of app in turn."""
    return app_named(request.param)
