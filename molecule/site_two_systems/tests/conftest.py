"""S2 as its users reach it, and the playbooks that its operators run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import testinfra
from ansible_collections.minato.fleet.molecule.shared.playbook import ROOT, run_playbook
from ansible_collections.minato.fleet.molecule.shared.s2 import medical_user, read_secrets, social_user
from ansible_collections.minato.fleet.molecule.shared.site import Site, address_of

SCENARIO = Path(__file__).resolve().parents[1]
STATE = ROOT / ".ansible" / "site_two_systems"


def _host(name: str) -> Any:
    return testinfra.get_host(f"docker://minato-site_two_systems-{name}")


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    """Every secret of the fleet, as <app>/<name>."""
    return read_secrets(STATE)


@pytest.fixture(scope="session")
def first() -> Any:
    return _host("1")


@pytest.fixture(scope="session")
def second() -> Any:
    return _host("2")


@pytest.fixture(scope="session")
def db_host() -> Any:
    return _host("db")


@pytest.fixture(scope="session")
def outside() -> Any:
    return _host("outside")


@pytest.fixture(scope="session")
def site() -> Site:
    return Site("api.s2.test", address_of("minato-site_two_systems-1"), STATE / "pebble-root.pem")


@pytest.fixture(scope="session")
def medical(secrets: dict[str, str]) -> dict[str, str]:
    """Headers of a request to the medical system."""
    return medical_user(secrets)


@pytest.fixture(scope="session")
def social(site: Site) -> dict[str, str]:
    """Headers of a request to VoiceDrive: those of a user who has joined through the gateway (S2.6)."""
    return social_user(site)


@pytest.fixture(scope="session")
def play() -> Any:
    """Run one of the project's playbooks on one of the two inventories; its output holds stderr too."""

    def run(name: str, *arguments: str, pattern: int, **variables: Any) -> subprocess.CompletedProcess[str]:
        inventory = str(SCENARIO / "inventory" / f"pattern_{pattern}.yml")
        return run_playbook(ROOT / "playbooks" / f"{name}.yml", *arguments, inventory=inventory, **variables)

    return run
