"""The gate against a real server of HTTPS on loopback, whose certificate it signed itself."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._gate import Question, answers

NAME = "app.example.test"


STATUSES: list[int] = []


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives the statuses of the list, one after the other, and the last one for ever."""

    def do_GET(self) -> None:
        self.send_response(STATUSES.pop(0) if len(STATUSES) > 1 else STATUSES[0])
        self.end_headers()
        self.wfile.write(f"{self.headers['Host']}{self.path}".encode())

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Question]:
    """A question that the server answers."""
    pem = tmp_path / "own.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=x -addext"
    subprocess.run(
        [*command.split(), f"subjectAltName=DNS:{NAME}", "-keyout", f"{pem}.key", "-out", str(pem)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, f"{pem}.key")
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield Question(NAME, "127.0.0.1", listening.server_port, "/health", pem.read_text())
    listening.shutdown()
    thread.join()
    listening.server_close()


def ask(question: Question, status: str = "200") -> list[str]:
    return [str(answer) for answer in answers(question, status, tries=3, delay=0, timeout=5)]


def test_it_asks_until_the_answer_is_as_wanted(server: Question) -> None:
    STATUSES[:] = [503, 200]
    body = f"{NAME}:{server.port}/health"
    assert ask(server) == [f"status 503: {body}", f"status 200: {body}"]


def test_it_gives_up_after_its_tries(server: Question) -> None:
    STATUSES[:] = [404]
    assert len(ask(server)) == 3
    assert len(ask(server, "[1-4]")) == 1


def test_a_certificate_of_somebody_else_is_no_answer(server: Question) -> None:
    STATUSES[:] = [200]
    assert all("certificate verify failed" in said for said in ask(server._replace(ca="")))
    assert all("certificate verify failed" in said for said in ask(server._replace(name="other.example.test")))


def test_a_certificate_may_be_left_unlooked_at(server: Question) -> None:
    """As where a site still has the one to start with."""
    STATUSES[:] = [200]
    stranger = server._replace(ca="", name="other.example.test")
    assert "certificate" in ask(stranger)[-1]
    assert ask(stranger._replace(verify=False)) == [f"status 200: other.example.test:{server.port}/health"]


def test_nobody_there() -> None:
    assert all("refused" in said for said in ask(Question(NAME, "127.0.0.1", 9, "/", "")))
