# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Redis server says of itself, held against what is wanted.

The protocol is RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/), which every version speaks. It is
spoken here and not by redis-cli, so that the password is in no command line and in no environment.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import IO, Any, Mapping, NamedTuple

TIMEOUT = 5  # seconds


class Place(NamedTuple):
    """Where a server listens: at a path, or else at an address and port."""

    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return self.path or f"{self.host} port {self.port}"


class Seen(NamedTuple):
    """What came of asking a server. `silent` says why nothing did; `refused` is its answer to the password."""

    silent: str = ""
    is_open: bool = False  # it serves who gives no password
    refused: str = ""
    settings: Mapping[str, str] = {}


class Difference(NamedTuple):
    """One thing that is not as wanted, in words."""

    name: str
    before: str
    after: str


class ReplyError(Exception):
    """The server answered with an error: its message, such as C(NOAUTH Authentication required.)."""


class Connection:
    """One connection to a server. Raises OSError where there is none, or none any more."""

    def __init__(self, place: Place) -> None:
        if place.path:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(TIMEOUT)
            self._socket.connect(place.path)
        else:
            self._socket = socket.create_connection((place.host, place.port), TIMEOUT)
        self._replies: IO[bytes] = self._socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._replies.close()
        self._socket.close()

    def ask(self, *words: str) -> Any:
        """Send one command; return a string, a number, None or a list of them. Raises `ReplyError`."""
        encoded = [word.encode("utf-8") for word in words]
        message = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        self._socket.sendall(b"*%d\r\n%s" % (len(words), message))
        return self._reply()

    def _reply(self) -> Any:
        line = self._replies.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed")
        kind, rest = line[:1], line[1:-2].decode("utf-8", "replace")
        if kind == b"-":
            raise ReplyError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else self._replies.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
        if kind == b"*":
            return [self._reply() for _number in range(max(int(rest), 0))]
        raise ConnectionError(f"what answers speaks no Redis: {rest[:40]}")


def look(place: Place, password: str, names: list[str]) -> Seen:
    """Ask a server for its settings, first without the password and then with it."""
    try:
        with Connection(place) as connection:
            is_open = _is_open(connection)
            try:
                connection.ask("AUTH", password)
                settings = {name: _setting(connection, name) for name in names}
            except ReplyError as error:
                return Seen(is_open=is_open, refused=str(error))
            return Seen(is_open=is_open, settings=settings)
    except (OSError, ValueError) as error:
        return Seen(silent=f"{place}: {error}")


def _is_open(connection: Connection) -> bool:
    try:
        connection.ask("PING")
    except ReplyError:
        return False
    return True


def _setting(connection: Connection, name: str) -> str:
    """One name at a time: Redis before 7.0 takes no more. A name that it does not know has no value."""
    answer = connection.ask("CONFIG", "GET", name)
    return str(answer[1]) if len(answer) == 2 else ""


def differences(seen: Seen, wanted: Mapping[str, str]) -> list[Difference]:
    """Say what is not as wanted."""
    if seen.silent:
        return [Difference("answer", f"none ({seen.silent})", "yes")]
    found = [Difference("without a password", "served", "refused")] if seen.is_open else []
    if seen.refused:
        return [*found, Difference("password", f"refused ({seen.refused})", "accepted")]
    return found + [
        Difference(name, seen.settings[name], value)
        for name, value in sorted(wanted.items())
        if seen.settings[name] != value
    ]
