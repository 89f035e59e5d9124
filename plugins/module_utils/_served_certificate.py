# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Is the certificate that clients are shown the one on disk?"""

from __future__ import annotations

import re
import socket
import ssl
import time
from typing import Callable, NamedTuple, Optional

# Both families: a server may have read the new one for one of them only.
ADDRESSES = ("127.0.0.1", "::1")

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

Look = Callable[[str, str, int], Optional[bytes]]


class Shown(NamedTuple):
    """What a client that asks for a name at an address of this host is shown (DER); None if nothing answers to it."""

    name: str
    address: str
    port: int
    certificate: bytes | None

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.name} on {address}:{self.port}"


class Served(NamedTuple):
    """One certificate: where it should be seen, and its first one in PEM."""

    names: list[str]
    port: int
    chain: str


def look(name: str, address: str, port: int, timeout: float = 5) -> bytes | None:
    """Shake hands as a client would, trusting anyone; None where nobody answers to the name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        connection = socket.create_connection((address, port), timeout)
        with connection, context.wrap_socket(connection, server_hostname=name) as secured:
            return secured.getpeercert(binary_form=True)
    except (OSError, ValueError):
        return None


def leaf(chain: str) -> bytes:
    """Return the first certificate of a chain (PEM) as DER."""
    found = _PEM.search(chain)
    if not found:
        raise ValueError("there is no certificate in it")
    return ssl.PEM_cert_to_DER_cert(found.group(0))


def others(served: Served, looker: Look = look) -> list[Shown]:
    """Return where another certificate than the one on disk is shown. Where nothing answers, nothing is wrong."""
    own = leaf(served.chain)
    shown = (
        Shown(name, address, served.port, looker(name, address, served.port))
        for name in (wanted.replace("*", "certificate-check", 1) for wanted in served.names)
        for address in ADDRESSES
        if served.port
    )
    return [one for one in shown if one.certificate is not None and one.certificate != own]


def still_others(before: list[Shown], own: bytes, seconds: float, looker: Look = look) -> list[Shown]:
    """Look again at places until each shows our own certificate or the time is over; return those that do not."""
    deadline = time.monotonic() + seconds
    while True:
        again = [one._replace(certificate=looker(one.name, one.address, one.port)) for one in before]
        wrong = [one for one in again if one.certificate != own]
        if not wrong or time.monotonic() >= deadline:
            return wrong
        time.sleep(0.2)
