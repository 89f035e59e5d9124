"""S1 as its users reach it: over HTTPS, with the chain verified, through the host's own address."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import testinfra
from ansible_collections.minato.fleet.molecule.shared.playbook import ROOT, run_playbook
from ansible_collections.minato.fleet.molecule.shared.websocket import say

SITE = "api.medical.test"
STATE = ROOT / ".ansible" / "site_medical"


class Site:
    """The site at one address. TLS verifies the chain up to the CA's root, and the name."""

    def __init__(self, address: str, ca_file: Path, jwt_secret: str) -> None:
        self.address = address
        self.tls = ssl.create_default_context(cafile=str(ca_file))
        header, claims = (_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, {"sub": "test"}))
        signature = hmac.new(jwt_secret.encode(), f"{header}.{claims}".encode(), hashlib.sha256).digest()
        self.token = f"{header}.{claims}.{_base64url(signature)}"

    def connect(self) -> ssl.SSLSocket:
        return self.tls.wrap_socket(socket.create_connection((self.address, 443), timeout=15), server_hostname=SITE)

    def say(self, message: str, path: str, authorized: bool = True) -> str | bytes:
        """What the WebSocket at a path answers to a message."""
        token = {"Authorization": f"Bearer {self.token}"} if authorized else {}
        return say(message, f"wss://{SITE}{path}", self.address, self.tls, token)

    def ask(
        self, method: str, path: str, body: Any = None, authorized: bool = True
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        """Status, headers and JSON (or text) of an answer over HTTPS."""
        connection = http.client.HTTPSConnection(SITE)
        connection.sock = self.connect()
        token = {"Authorization": f"Bearer {self.token}"} if authorized else {}
        return self._ask(connection, method, path, body, token)

    def ask_plain(self, path: str, host: str = SITE) -> tuple[int, http.client.HTTPMessage, Any]:
        """The same over plain HTTP."""
        return self._ask(http.client.HTTPConnection(self.address, timeout=15), "GET", path, None, {"Host": host})

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json", **headers} if data else headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, answer.headers, json.loads(text) if is_json and text else text


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    """Every secret of the fleet, by its file's name."""
    return {path.name: path.read_text().strip() for path in (STATE / "secrets").rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def app_host() -> Any:
    return testinfra.get_host("docker://minato-site_medical-app")


@pytest.fixture(scope="session")
def db_host() -> Any:
    return testinfra.get_host("docker://minato-site_medical-db")


@pytest.fixture
def site(secrets: dict[str, str]) -> Site:
    shape = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = subprocess.check_output(["docker", "inspect", "-f", shape, "minato-site_medical-app"], text=True).strip()
    return Site(address, STATE / "pebble-root.pem", secrets["JWT_SECRET"])


@pytest.fixture(scope="session")
def play() -> Any:
    """Run one of the project's playbooks on the scenario's inventory; its output holds stderr too."""

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        inventory = str(ROOT / "molecule" / "site_medical" / "inventory")
        return run_playbook(ROOT / "playbooks" / f"{name}.yml", *arguments, inventory=inventory)

    return run
