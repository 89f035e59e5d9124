"""A site as its users reach it: over HTTPS, with the chain verified, through a host's own address.

Import it as ansible_collections.minato.fleet.molecule.shared.site.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.minato.fleet.molecule.shared.websocket import say

Answer = tuple[int, http.client.HTTPMessage, Any]
SECONDS = 20


def address_of(container: str) -> str:
    """The IPv4 address of a container on its one network."""
    shape = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return subprocess.check_output(["docker", "inspect", "-f", shape, container], text=True).strip()


class Site:
    """A host name at one address. TLS verifies the chain up to the root in a file, and the name."""

    def __init__(self, name: str, address: str, ca_file: Path) -> None:
        self.name = name
        self.address = address
        self.tls = ssl.create_default_context(cafile=str(ca_file))

    def connect(self) -> ssl.SSLSocket:
        raw = socket.create_connection((self.address, 443), timeout=SECONDS)
        return self.tls.wrap_socket(raw, server_hostname=self.name)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Status, headers and JSON (or text) of an answer over HTTPS."""
        connection = http.client.HTTPSConnection(self.name)
        connection.sock = self.connect()
        data = None if body is None else json.dumps(body)
        connection.request(
            method, path, data, {**({"Content-Type": "application/json"} if data else {}), **(headers or {})}
        )
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, answer.headers, json.loads(text) if is_json and text else text

    def say(self, message: str, path: str, headers: dict[str, str] | None = None) -> str | bytes:
        """What the WebSocket at a path answers to a message."""
        return say(message, f"wss://{self.name}{path}", self.address, self.tls, headers)
