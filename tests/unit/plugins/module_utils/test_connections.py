# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connections to a port are counted while they are open, on the side that listens."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._connections import connected, drain


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_counts_what_is_open(family: socket.AddressFamily, address: str) -> None:
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        assert connected({port}) == 0
        with socket.create_connection((address, port)), socket.create_connection((address, port)):
            accepted = [server.accept()[0] for _number in range(2)]
            assert connected({port}) == 2
            assert connected({port + 1}) == 0
        for each in accepted:
            each.close()
        assert connected({port}) == 0


def test_waits_until_the_last_one_is_closed_and_no_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted = server.accept()[0]
        began = time.monotonic()
        assert drain([port], 0.3) == 1
        assert time.monotonic() - began >= 0.3
        closing = threading.Timer(0.3, client.close)
        closing.start()
        began = time.monotonic()
        assert drain([port], 30) == 0
        assert time.monotonic() - began < 15
        closing.join()
        accepted.close()
