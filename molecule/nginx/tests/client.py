"""Asks nginx as its clients do, from outside the host.

Import it as ansible_collections.minato.fleet.molecule.nginx.tests.client.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any, NamedTuple

CONVERGE = Path(__file__).parents[1] / "converge.yml"


class Answer(NamedTuple):
    """An answer, its body read."""

    status: int
    headers: http.client.HTTPMessage
    text: str


class Client:
    """Talks to one host, and trusts the scenario's authority and no other."""

    def __init__(self, address: str, authority: str) -> None:
        self.address = address
        self.authority = authority

    def tls(self) -> ssl.SSLContext:
        """A new context, for tests that change it."""
        return ssl.create_default_context(cadata=self.authority)

    def handshake(self, name: str, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """Return a connection that asked for a name and checked the answer."""
        context = context or self.tls()
        return context.wrap_socket(socket.create_connection((self.address, 443), 15), server_hostname=name)

    def ask(
        self,
        path: str,
        host: str = "app.test",
        *,
        scheme: str = "https",
        connect: str = "",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request and return the answer, over a connection made for the host's name or for another."""
        connection = http.client.HTTPConnection(self.address, 80, timeout=20)
        if scheme == "https":
            connection.sock = self.handshake(connect or host)
        connection.request("POST" if body is not None else "GET", path, body, {"Host": host, **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())


def seen(answer: Answer) -> Any:
    """Return what the app says it was asked."""
    assert answer.status == 200
    return json.loads(answer.text)
