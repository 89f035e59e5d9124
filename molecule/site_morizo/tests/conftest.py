"""S3 as its users reach it: over HTTPS, with the chain verified, through the host's own address."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import testinfra
from ansible_collections.minato.fleet.molecule.shared.playbook import ROOT, run_playbook

SITE = "morizo.test"
STATE = ROOT / ".ansible" / "site_morizo"
CONTAINER = "minato-site_morizo-app"
SCENARIO = Path(__file__).resolve().parents[1]


class Site:
    """The site at one address. TLS verifies the chain up to the CA's root, and the name."""

    def __init__(self, address: str) -> None:
        self.address = address

    def connect(self, port: int = 443) -> ssl.SSLSocket:
        tls = ssl.create_default_context(cafile=str(STATE / "pebble-root.pem"))
        return tls.wrap_socket(socket.create_connection((self.address, port), timeout=20), server_hostname=SITE)

    def ask(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, http.client.HTTPMessage, Any]:
        """Status, headers and JSON (or text) of an answer over HTTPS."""
        connection = http.client.HTTPSConnection(SITE)
        connection.sock = self.connect()
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, answer.headers, json.loads(text) if is_json and text else text

    def until_up(self, path: str = "/api/health", seconds: float = 60) -> Any:
        """The answer's body, once there is one."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                status, _headers, body = self.ask(path)
            except OSError:
                status, body = 0, ""
            if status == 200 or time.monotonic() > deadline:
                assert status == 200, body
                return body
            time.sleep(0.5)


@pytest.fixture(scope="session")
def app_host() -> Any:
    return testinfra.get_host(f"docker://{CONTAINER}")


@pytest.fixture(scope="session")
def site() -> Site:
    shape = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return Site(subprocess.check_output(["docker", "inspect", "-f", shape, CONTAINER], text=True).strip())


@pytest.fixture(scope="session")
def play() -> Any:
    """Run one of the project's playbooks on an inventory of the scenario; its output holds stderr too."""

    def run(name: str, *arguments: str, inventory: str = "inventory") -> subprocess.CompletedProcess[str]:
        playbook = ROOT / "playbooks" / f"{name}.yml"
        done: subprocess.CompletedProcess[str] = run_playbook(
            playbook, *arguments, inventory=str(SCENARIO / inventory), world="site_morizo"
        )
        return done

    return run


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in (STATE / "secrets").rglob("*") if path.is_file()}
