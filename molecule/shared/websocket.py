"""Talks to a WebSocket from outside a host.

Import it as ansible_collections.minato.fleet.molecule.shared.websocket.
"""

from __future__ import annotations

import asyncio
import ssl

# Not websockets.sync: once in some hundred times over TLS it never sees the answer to its handshake.
from websockets.asyncio.client import connect

SECONDS = 15


def say(
    message: str,
    url: str,
    address: str,
    tls: ssl.SSLContext,
    headers: dict[str, str] | None = None,
    idle: float = 0,
) -> str | bytes:
    """Say one thing to the WebSocket of a URL, whose host name stands for this address, and return the answer.

    Nothing is said for the seconds of ``idle`` first.

    Raises websockets.exceptions.InvalidStatus where the server answers with another status than 101.
    """

    async def talk() -> str | bytes:
        options = {"host": address, "port": 443, "ssl": tls, "open_timeout": SECONDS, "additional_headers": headers}
        async with connect(url, **options) as socket:
            await asyncio.sleep(idle)
            await socket.send(message)
            return await asyncio.wait_for(socket.recv(), SECONDS)

    return asyncio.run(talk())
