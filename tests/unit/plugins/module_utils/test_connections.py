# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connections to a port are counted while they are open, on the side that listens."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._connections import connected


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
