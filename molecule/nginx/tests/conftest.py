"""What the tests share: a client outside the host, and testssl.sh at work while they run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.nginx.tests.client import Client


@pytest.fixture(scope="module")
def client(host: Any) -> Client:
    """A client outside the host."""
    authority = host.file("/etc/ssl/certs/authority.pem").content_string
    return Client(str(host.check_output("hostname -I").split()[0]), authority)


@pytest.fixture(scope="module", autouse=True)
def testssl(host: Any, client: Client) -> str:
    """Start testssl.sh once and return the name of its unit: it takes longer than all tests together."""
    unit = "testssl.service"
    if not host.service(unit).is_running:
        # -P is left out: it wants the server's own order of ciphers, and Mozilla's intermediate level leaves the choice
        # to the clients, as any of its ciphers will do.
        host.check_output(
            f"rm -f /tmp/testssl.json; systemd-run --unit {unit} --property RemainAfterExit=yes"
            " --setenv HOME=/root testssl --warnings off --color 0 --nodns none --add-ca /etc/ssl/certs/authority.pem"
            f" --jsonfile /tmp/testssl.json -p -s -f -S -h -U --ip {client.address} https://app.test"
        )
    return unit
