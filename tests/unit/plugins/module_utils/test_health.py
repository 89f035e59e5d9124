"""An app that is asked whether it can do its work, over real HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from ansible_collections.minato.fleet.plugins.module_utils import _health


class App(BaseHTTPRequestHandler):
    """Answers with the next of its answers, and with the last one from then on."""

    answers: ClassVar[list[tuple[int, bytes]]] = []
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = self.answers[0]
        if len(self.answers) > 1:
            self.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    App.asked = []
    server = HTTPServer(("127.0.0.1", 0), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/health"
    server.shutdown()
    server.server_close()


def test_healthy(url: str) -> None:
    App.answers = [(200, b"ok")]
    assert _health.wait_until_healthy(url, 0) == ""
    assert App.asked == ["/health"]


def test_becomes_healthy(url: str) -> None:
    App.answers = [(503, b"starting"), (200, b"ok")]
    assert _health.wait_until_healthy(url, 5) == ""


def test_stays_unhealthy(url: str) -> None:
    App.answers = [(503, b"no database" + 1000 * b".")]
    wrong = _health.wait_until_healthy(url, 0)
    assert wrong.startswith("status 503: no database..")
    assert len(wrong) < 600


def test_what_was_just_started_is_asked_until_it_is_warm(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_health, "_WARM_WITHIN", 60)  # a busy machine gets through no less
    App.answers = [(200, b"ok"), (503, b"too many")]
    _health.warm([url, f"{url}/other"])
    assert App.asked.count("/health") == 100
    assert App.asked.count("/health/other") == 100, "and no answer ends it"


def test_warming_takes_no_longer_than_it_may() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        began = time.monotonic()
        _health.warm([f"http://127.0.0.1:{deaf.getsockname()[1]}/health"])
    assert 2 < time.monotonic() - began < 20, "two seconds, and those of the questions under way"


def test_nobody_there(url: str) -> None:
    assert "refused" in _health.complaint("http://127.0.0.1:1/health")


def test_each_answer_is_told_in_its_order_and_those_alike_once() -> None:
    assert _health.in_order(["refused", "status 503: a", "status 503: a"]) == "refused; then status 503: a (2 times)"
