"""Goes on asking a site, and listening to its WebSockets, while something happens to it.

Import it as ansible_collections.minato.fleet.molecule.shared.load.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.minato.fleet.molecule.shared.site import Site
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException


@dataclass
class Asked:
    """What came of asking one path: seconds of each answer, and when and how each one failed."""

    path: str
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def wait_for(self, count: int, seconds: float = 60) -> None:
        """Go on until so many requests were answered or failed."""
        deadline = time.monotonic() + seconds
        while len(self.seconds) + len(self.failures) < count:
            assert time.monotonic() < deadline, f"{self.path} is hardly asked"
            time.sleep(0.1)

    def __str__(self) -> str:
        times = sorted(self.seconds) or [0.0]
        return (
            f"{self.path}: {len(self.seconds)} answered, {len(self.failures)} failed,"
            f" p50 {times[len(times) // 2] * 1000:.0f} ms, p99 {times[int(len(times) * 0.99)] * 1000:.0f} ms"
        )


@contextlib.contextmanager
def asking(site: Site, paths: dict[str, dict[str, str]], every: float = 0.1) -> Iterator[dict[str, Asked]]:
    """Ask each path over a connection of its own, again and again, until the block ends.

    Args:
        site: Whose paths.
        paths: Headers of each path's requests.
        every: Seconds from one request of a path to its next.

    Yields:
        What came of each path. An answer counts as failed unless its status is 200.
    """
    over = threading.Event()
    found = {path: Asked(path) for path in paths}

    def ask(asked: Asked, headers: dict[str, str]) -> None:
        began = time.monotonic()
        while not over.wait(every):
            start = time.monotonic()
            try:
                status, _headers, body = site.ask("GET", asked.path, headers=headers)
            except OSError as error:
                status, body = 0, repr(error)
            if status == 200:
                asked.seconds.append(time.monotonic() - start)
            else:
                asked.failures.append(f"after {start - began:.1f} s: {status} {str(body)[:200]}")

    threads = [threading.Thread(target=ask, args=(found[path], headers)) for path, headers in paths.items()]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join()


class Listener:
    """A client of a WebSocket that comes back whenever it is told to go, and notes how long it was away."""

    def __init__(self, site: Site, path: str, headers: dict[str, str]) -> None:
        self.site, self.path, self.headers = site, path, headers
        self.codes: list[int] = []
        self.away: list[float] = []
        self.heard: list[Any] = []

    async def run(self) -> None:
        """Listen until cancelled."""
        lost = 0.0
        options: dict[str, Any] = {"host": self.site.address, "port": 443, "ssl": self.site.tls}
        while True:
            try:
                url = f"wss://{self.site.name}{self.path}"
                async with connect(url, additional_headers=self.headers, open_timeout=5, **options) as socket:
                    if lost:
                        self.away.append(time.monotonic() - lost)
                    try:
                        while True:
                            self.heard.append(await socket.recv())
                    except ConnectionClosed:
                        self.codes.append(socket.close_code or 0)
                        lost = time.monotonic()
            except (OSError, TimeoutError, WebSocketException):
                lost = lost or time.monotonic()
                await asyncio.sleep(0.2)


@contextlib.contextmanager
def listening(site: Site, path: str, headers: dict[str, str], clients: int) -> Iterator[list[Listener]]:
    """Keep so many WebSockets open until the block ends; yields their clients once all are connected."""
    listeners = [Listener(site, path, headers) for client in range(clients)]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    tasks = [asyncio.run_coroutine_threadsafe(listener.run(), loop) for listener in listeners]
    try:
        deadline = time.monotonic() + 20
        while not all(listener.heard for listener in listeners):
            assert time.monotonic() < deadline, "not all WebSockets said hello"
            time.sleep(0.1)
        yield listeners
    finally:
        for task in tasks:
            task.cancel()
        time.sleep(0.2)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
