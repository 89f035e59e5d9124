# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Redis server says of itself: against a server that says what it is told to say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._redis import (
    Connection,
    Difference,
    Place,
    differences,
    look,
)

NOAUTH = b"-NOAUTH Authentication required.\r\n"
WANTED = {"maxmemory": "1024", "save": ""}


class Server:
    """Answers each command with what `answers` has for it, and closes the connection where that is nothing."""

    def __init__(self, listener: socket.socket) -> None:
        self.answers: dict[bytes, bytes] = {}
        self.commands: list[list[bytes]] = []
        host, port = listener.getsockname()
        self.place = Place(host, port, "")
        self._listener = listener
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _client = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                while count := stream.readline():
                    lengths = (int(stream.readline()[1:]) for _number in range(int(count[1:])))
                    words = [stream.read(length + 2)[:-2] for length in lengths]
                    self.commands.append(words)
                    answer = self.answers.get(b" ".join(words), b"")
                    if not answer:
                        break
                    connection.sendall(answer)


@pytest.fixture
def server() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener)
        server.answers = {
            b"PING": NOAUTH,
            b"AUTH geheim": b"+OK\r\n",
            b"CONFIG GET maxmemory": b"*2\r\n$9\r\nmaxmemory\r\n$4\r\n1024\r\n",
            b"CONFIG GET save": b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n",
        }
        yield server


def seen(server: Server, password: str = "geheim") -> list[Difference]:
    return differences(look(server.place, password, list(WANTED)), WANTED)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"+OK\r\n", "OK"),
        (b":-3\r\n", -3),
        (b"$-1\r\n", None),
        ("$5\r\nあ\r\n\r\n".encode(), "あ\r\n"),
        (b"*-1\r\n", []),
        (b"*3\r\n$1\r\na\r\n*1\r\n:1\r\n$-1\r\n", ["a", [1], None]),
    ],
)
def test_every_kind_of_reply_is_read(server: Server, sent: bytes, read: Any) -> None:
    server.answers = {"ECHO あ b".encode(): sent}
    with Connection(server.place) as connection:
        assert connection.ask("ECHO", "あ b") == read
    assert server.commands == [[b"ECHO", "あ b".encode()]]


def test_a_server_as_wanted_has_no_differences(server: Server) -> None:
    assert seen(server) == []


def test_a_setting_that_is_another_one_is_named(server: Server) -> None:
    server.answers[b"CONFIG GET maxmemory"] = b"*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"
    assert seen(server) == [Difference("maxmemory", "0", "1024")]


def test_a_setting_that_the_server_does_not_know_has_no_value(server: Server) -> None:
    server.answers[b"CONFIG GET maxmemory"] = b"*0\r\n"
    assert seen(server) == [Difference("maxmemory", "", "1024")]


def test_a_server_that_serves_everybody_is_noticed(server: Server) -> None:
    server.answers[b"PING"] = b"+PONG\r\n"
    assert seen(server) == [Difference("without a password", "served", "refused")]


@pytest.mark.parametrize("command", [b"AUTH geheim", b"CONFIG GET save"])
def test_a_password_that_does_not_open_all_is_refused_in_the_servers_words(server: Server, command: bytes) -> None:
    server.answers[command] = b"-NOPERM not for you\r\n"
    assert seen(server) == [Difference("password", "refused (NOPERM not for you)", "accepted")]


@pytest.mark.parametrize(
    ("answer", "why"), [(b"", "the connection was closed"), (b"HTTP/1.1 400\r\n", "what answers speaks no Redis")]
)
def test_what_is_no_redis_is_an_answer_that_is_missing(server: Server, answer: bytes, why: str) -> None:
    server.answers[b"PING"] = answer
    (one,) = seen(server)
    assert one.name == "answer"
    assert why in one.before
    assert f"127.0.0.1 port {server.place.port}" in one.before


def test_nobody_at_a_place_is_said(tmp_path: Any) -> None:
    for place in (Place("127.0.0.1", 1, ""), Place("", 0, str(tmp_path / "socket"))):
        (one,) = differences(look(place, "geheim", []), {})
        assert one.before.startswith(f"none ({place}: ")
