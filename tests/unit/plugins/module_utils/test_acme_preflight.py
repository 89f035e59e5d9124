# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a name from being proven, and what a person is told about it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._acme_preflight import Answer, fetch, obstacle

ELSEWHERE = "Either the name points elsewhere (correct its A and AAAA records), or port 80 is closed on the way"


@pytest.mark.parametrize(
    ("addresses", "answer", "said"),
    [
        (["192.0.2.1"], Answer(200, "token\n"), ""),
        ([], Answer(200, "token"), "a.test has no address: create its A record"),
        (
            ["192.0.2.1", "2001:db8::1"],
            Answer(404, ""),
            "a.test resolves to 192.0.2.1, 2001:db8::1, and http://a.test/",
        ),
        (["192.0.2.1"], Answer(404, ""), "answered 404. " + ELSEWHERE),
        (["192.0.2.1"], Answer(200, "<html>"), "answered with something else than the file put there. " + ELSEWHERE),
        (["192.0.2.1"], Answer(0, "timed out"), "could not be fetched (timed out). " + ELSEWHERE),
        (["192.0.2.1"], Answer(404, ""), "does not serve /var/www/acme below /.well-known/acme-challenge/."),
    ],
)
def test_obstacle(addresses: list[str], answer: Answer, said: str) -> None:
    sentence = obstacle("a.test", "token", "/var/www/acme", lambda name: addresses, lambda url: answer)
    assert said in sentence
    assert bool(sentence) is bool(said)


class _Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(308)
            self.send_header("Location", "/here")
            self.end_headers()
            return
        self.send_response(200 if self.path == "/here" else 404)
        self.end_headers()
        self.wfile.write(b"token")

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """A web server that knows /here, and that /moved is there."""
    with HTTPServer(("127.0.0.1", 0), _Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_fetch_follows_redirects_and_ignores_proxies(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert fetch(f"{server}/here") == Answer(200, "token")
    assert fetch(f"{server}/moved") == Answer(200, "token")
    assert fetch(f"{server}/nothing").status == 404


def test_fetch_tells_why_nothing_came() -> None:
    status, why = fetch("http://127.0.0.1:1/")
    assert status == 0
    assert "refused" in why
