"""Users of one app: a steady load of requests, and WebSockets that come back whenever they are told to go.

Requests have their times beforehand and do not wait for one another, so that an app that stands still is asked all
the same. Lists are asked for over the connection that each user keeps open. A web server that takes a new configuration
closes such connections while nothing is asked on them, and a request may cross that on its way: where a connection that
was used before is closed without a byte of the answer, the request is sent once more over a new one, as RFC 9110
(9.2.2) allows for GET and as browsers do. It is counted. Nothing else is tried again: a request on a new connection
never, and what is written (POST) goes over a new connection each time.

Import it as ansible_collections.minato.fleet.benchmarks.deploy.client.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

from ansible_collections.minato.fleet.benchmarks.deploy.figures import Answer, Closing
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

USERS = 20
WRITES = 20  # one request in so many writes
PATIENCE = 20  # seconds until a request counts as unanswered
OPEN = 5  # seconds that a WebSocket waits for to be let in
PAUSE = 0.2  # seconds before a WebSocket that was not let in asks again
APART = 1.0  # seconds within which those that ended together come back, each when it likes (RFC 6455, 7.2.3)
SWITCH = 0.0005  # seconds that a thread of this client keeps the others waiting
HEAD = re.compile(rb"HTTP/1\.1 (?P<status>\d{3})")
LENGTH = re.compile(rb"\r\ncontent-length: *(?P<bytes>\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
LAST = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Request(NamedTuple):
    """What is sent, and the status of a good answer."""

    text: bytes
    status: int


class UnansweredError(ConnectionError):
    """The connection was closed before a byte of the answer."""


def request(site: str, path: str, headers: dict[str, str], body: Any = None) -> Request:
    """A GET over a connection that is kept, or a POST over one that is not."""
    text = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    more = {"Host": site, **headers}
    if text:
        more |= {"Content-Type": "application/json", "Content-Length": str(len(text)), "Connection": "close"}
    lines = [f"{'POST' if text else 'GET'} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in more.items())]
    return Request("\r\n".join([*lines, "", ""]).encode() + text, 201 if text else 200)


class Connection(asyncio.Protocol):
    """A connection of HTTP/1.1, for one request after the other."""

    def __init__(self) -> None:
        self.closed = False
        self.got = bytearray()
        self.status: asyncio.Future[int] | None = None
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        if self.status and not self.status.done() and complete(self.got):
            head = bytes(self.got).partition(b"\r\n\r\n")[0]
            if LAST.search(head):
                self.close()
            found = HEAD.match(head)
            self.status.set_result(int(found["status"]) if found else 0)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.transport = None  # or the two hold each other, with the buffers of TLS, until Python comes to look
        if self.status and not self.status.done():
            amid = ConnectionError(f"closed after {len(self.got)} bytes of an answer")
            self.status.set_exception(amid if self.got else UnansweredError("closed without an answer"))

    async def ask(self, asked: Request) -> int:
        """The status of the answer, once all of it is there.

        Raises:
            UnansweredError: The connection was closed before a byte of it.
            ConnectionError: It was closed amid the answer.
        """
        if not self.transport:
            raise UnansweredError("closed before anything was sent")
        self.got.clear()
        self.status = asyncio.get_running_loop().create_future()
        self.transport.write(asked.text)
        return await self.status

    def close(self) -> None:
        self.closed = True
        if self.transport:
            self.transport.close()


def complete(got: bytes | bytearray) -> bool:
    """Whether this is a whole answer. Every one here has a length, or is JSON or a page in chunks."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = LENGTH.search(got, 0, end)
    if length:
        return len(got) >= end + 4 + int(length["bytes"])
    return bool(CHUNKED.search(got, 0, end)) and got.endswith(b"\r\n0\r\n\r\n")


class Load:
    """So many requests a second.

    Args:
        place: Where to connect to, as asyncio's create_connection takes it.
        requests: What is asked for: ``lists``, and ``writes`` now and then.
        rate: Requests a second.
    """

    def __init__(self, place: dict[str, Any], requests: dict[str, Request], rate: float) -> None:
        self.place, self.requests, self.rate = place, requests, rate
        self.kept: list[Connection | None] = [None] * USERS
        self.answers: list[Answer] = []
        self.again: list[float] = []  # when a request was sent once more
        self.under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        began, clock = loop.time(), time.time()
        for number in itertools.count():
            due = number / self.rate
            await asyncio.sleep(max(0.0, began + due - loop.time()))
            task = asyncio.create_task(self.ask(number, clock + due))
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)

    async def finish(self) -> None:
        """Wait for what is under way, and close what is kept."""
        await asyncio.gather(*self.under_way)
        for connection in self.kept:
            if connection:
                connection.close()

    async def ask(self, number: int, due: float) -> None:
        """Send the request of this number, and note what came of it."""
        # Every user has a turn to write.
        kind = "writes" if number % WRITES == number // WRITES % WRITES else "lists"
        asked = self.requests[kind]
        fault = ""
        try:
            async with asyncio.timeout(PATIENCE):
                status = await (self.write(asked) if kind == "writes" else self.read(asked, number % USERS))
            if status != asked.status:
                fault = f"status {status}"
        except OSError as error:
            fault = f"{type(error).__name__}: {error}"
        self.answers.append(Answer(due, time.time() - due, kind, fault))

    async def write(self, asked: Request) -> int:
        """Over a connection of its own."""
        connection = await self.connect()
        try:
            return await connection.ask(asked)
        finally:
            connection.close()

    async def read(self, asked: Request, user: int) -> int:
        """Over the connection that the user has kept, if it is there still and not busy."""
        kept, self.kept[user] = self.kept[user], None
        if kept and not kept.closed:
            try:
                return await self.over(kept, asked, user)
            except UnansweredError:
                self.again.append(time.time())
        return await self.over(await self.connect(), asked, user)

    async def over(self, connection: Connection, asked: Request, user: int) -> int:
        try:
            status = await connection.ask(asked)
        except BaseException:
            connection.close()
            raise
        if self.kept[user] is None and not connection.closed:
            self.kept[user] = connection
        else:
            connection.close()
        return status

    async def connect(self) -> Connection:
        return (await asyncio.get_running_loop().create_connection(Connection, **self.place))[1]


class Listener:
    """A WebSocket that is opened again whenever it ends.

    Args:
        url: Which one.
        place: Where to connect to, and with which headers, as websockets' connect takes it.
    """

    def __init__(self, url: str, place: dict[str, Any]) -> None:
        self.url, self.place = url, place
        self.open = False
        self.lost: tuple[float, int] | None = None  # when and with which code, until it is open again
        self.closings: list[Closing] = []

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                async with connect(self.url, open_timeout=OPEN, **self.place) as socket:
                    self.open = True
                    self.back()
                    try:
                        while True:
                            await socket.recv()
                    except ConnectionClosed:
                        self.open = False
                        self.lost = (time.time(), socket.close_code or 0)
                await asyncio.sleep(random.uniform(0, APART))
            except (OSError, WebSocketException):
                await asyncio.sleep(PAUSE)

    def back(self) -> None:
        """Note how long it was away, if it was; also once nobody waits for it any more."""
        if self.lost:
            self.closings.append(Closing(*self.lost, time.time() - self.lost[0]))
            self.lost = None


class Users(NamedTuple):
    """The load on an app, and its WebSockets."""

    load: Load
    listeners: list[Listener]

    def wait(self, seconds: float = 20) -> bool:
        """Wait until every WebSocket is open; false where one is not in time."""
        deadline = time.monotonic() + seconds
        while not all(listener.open for listener in self.listeners):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


@contextlib.contextmanager
def _loop() -> Iterator[Callable[[Coroutine[Any, Any, None]], Any]]:
    """A loop of its own, in a thread of its own; yields what begins something in it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda run: asyncio.run_coroutine_threadsafe(run, loop)
    finally:
        time.sleep(0.5)  # what was cancelled ends
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def using(load: Load, listeners: list[Listener]) -> Iterator[Users]:
    """Let them all ask and listen until the block ends; yields once every WebSocket is open.

    Whoever asks does not wait while the others, all at once, open their WebSockets again.

    Raises:
        TimeoutError: They are not open in time.
    """
    sys.setswitchinterval(SWITCH)
    users = Users(load, listeners)
    with _loop() as listen, _loop() as ask:
        listening = [listen(listener.run()) for listener in listeners]
        try:
            if not users.wait():
                raise TimeoutError("Not all WebSockets could be opened. See what the app logs.")
            asking = ask(load.run())
            try:
                yield users
            finally:
                if asking.done():
                    asking.result()  # an error of this client
                asking.cancel()
                ask(load.finish()).result()
        finally:
            for listener in listening:
                listener.cancel()
