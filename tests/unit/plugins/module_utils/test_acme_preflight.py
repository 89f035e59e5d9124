# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a name from being proven, and what a person is told about it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._acme_preflight import (
    Answer,
    fetch,
    obstacles,
    own,
    resolve,
)

HERE, ELSEWHERE, HERE6, ELSEWHERE6 = "192.0.2.1", "198.51.100.1", "2001:db8::1", "2001:db8::bad"
GOOD, WRONG, NONE = Answer(200, "token\n"), Answer(404, ""), Answer(0, "timed out")


@pytest.mark.parametrize(
    ("records", "answers", "said"),
    [
        pytest.param({"A": [HERE], "AAAA": [HERE6]}, {HERE: GOOD, HERE6: GOOD}, [], id="both families"),
        pytest.param({"A": [HERE]}, {HERE: GOOD}, [], id="one family is enough"),
        pytest.param({"A": [ELSEWHERE]}, {ELSEWHERE: GOOD}, [], id="behind NAT, but the file comes back"),
        pytest.param({}, {}, ["a.test has no address: create its A record"], id="no record"),
        pytest.param(
            {"A": [HERE], "AAAA": [ELSEWHERE6]},
            {HERE: GOOD, ELSEWHERE6: WRONG},
            [
                (
                    f"a.test over IPv6: its AAAA record is {ELSEWHERE6}, and the challenge file answered 404 there. "
                    "That is no address of this host: correct or delete the AAAA record"
                )
            ],
            id="the forgotten AAAA record",
        ),
        pytest.param(
            {"A": [HERE], "AAAA": [HERE6]},
            {HERE: GOOD, HERE6: NONE},
            [
                (
                    "could not be fetched (timed out) there. "
                    "That is this host: nginx must answer on IPv6 port 80 below /.well-known/acme-challenge/."
                )
            ],
            id="a web server on IPv4 only",
        ),
        pytest.param(
            {"A": [HERE, ELSEWHERE]},
            {HERE: GOOD, ELSEWHERE: Answer(200, "<html>")},
            [f"its A record is {ELSEWHERE}, and the challenge file answered with something else"],
            id="one of two A records",
        ),
        pytest.param(
            {"A": [ELSEWHERE], "AAAA": [ELSEWHERE6]},
            {ELSEWHERE: NONE, ELSEWHERE6: NONE},
            ["a.test over IPv4: its A record", "a.test over IPv6: its AAAA record"],
            id="each family is told",
        ),
    ],
)
def test_obstacles(records: dict[str, list[str]], answers: dict[str, Answer], said: list[str]) -> None:
    found = obstacles(
        "a.test",
        "token",
        "nginx",
        lambda _name: records,
        lambda _url, _name, address: answers[address],
        lambda address: address in (HERE, HERE6),
    )
    assert len(found) == len(said)
    for sentence, part in zip(found, said, strict=True):
        assert part in sentence


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
    assert fetch(f"{server}/here", "127.0.0.1", "127.0.0.1") == Answer(200, "token")
    assert fetch(f"{server}/moved", "127.0.0.1", "127.0.0.1") == Answer(200, "token")
    assert fetch(f"{server}/nothing", "127.0.0.1", "127.0.0.1").status == 404


def test_fetch_asks_at_the_address_it_is_given(server: str) -> None:
    port = server.rsplit(":", 1)[1]
    assert fetch(f"http://a.test:{port}/moved", "a.test", "127.0.0.1") == Answer(200, "token")


def test_fetch_tells_why_nothing_came() -> None:
    status, why = fetch("http://a.test:1/", "a.test", "127.0.0.1")
    assert status == 0
    assert "refused" in why


def test_only_the_hosts_own_addresses_are_its_own() -> None:
    assert own("127.0.0.1")
    assert not own("192.0.2.1")
    assert not own("2001:db8::1")


def test_records_are_asked_by_family() -> None:
    assert resolve("127.0.0.1") == {"A": ["127.0.0.1"]}
    assert resolve("::1") == {"AAAA": ["::1"]}
    assert resolve("nothing.invalid") == {}
