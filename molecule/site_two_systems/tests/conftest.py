"""S2 as its users reach it, and the playbooks that its operators run."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import testinfra
from ansible_collections.minato.fleet.molecule.shared.playbook import ROOT, run_playbook
from ansible_collections.minato.fleet.molecule.shared.site import Site, address_of

SCENARIO = Path(__file__).resolve().parents[1]
STATE = ROOT / ".ansible" / "site_two_systems"
PASSWORD = "a password of one's own"  # of a user that the tests make


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _host(name: str) -> Any:
    return testinfra.get_host(f"docker://minato-site_two_systems-{name}")


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    """Every secret of the fleet, as <app>/<name>."""
    root = STATE / "secrets"
    return {str(path.relative_to(root)): path.read_text().strip() for path in root.rglob("*") if path.is_file()}


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
    header, claims = (_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, {"sub": "test"}))
    key = secrets["medical-api/JWT_SECRET"].encode()
    signature = hmac.new(key, f"{header}.{claims}".encode(), hashlib.sha256).digest()
    return {"Authorization": f"Bearer {header}.{claims}.{_base64url(signature)}"}


@pytest.fixture(scope="session")
def social(site: Site) -> dict[str, str]:
    """Headers of a request to VoiceDrive: those of a user who has joined through the gateway (S2.6)."""
    user = {"email": "ichiban@s2.test", "name": "看護師 一号", "password": PASSWORD}
    status, _headers, told = site.ask("POST", "/api/auth/users", user)
    assert status in (201, 409), told
    status, _headers, session = site.ask(
        "POST", "/api/auth/sessions", {key: user[key] for key in ("email", "password")}
    )
    assert status == 201, session
    return {"Authorization": f"Bearer {session['token']}"}


@pytest.fixture(scope="session")
def play() -> Any:
    """Run one of the project's playbooks on one of the two inventories; its output holds stderr too."""

    def run(name: str, *arguments: str, pattern: int, **variables: Any) -> subprocess.CompletedProcess[str]:
        inventory = str(SCENARIO / "inventory" / f"pattern_{pattern}.yml")
        return run_playbook(ROOT / "playbooks" / f"{name}.yml", *arguments, inventory=inventory, **variables)

    return run
