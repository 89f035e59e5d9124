# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Would an ACME server that asks this name over HTTP find a challenge of this host? Asked before the server is.

Each address is tried by itself: an authority picks one, and most prefer IPv6, where a forgotten AAAA record leads
to another host while everything looks well over IPv4.
"""

from __future__ import annotations

import functools
import http.client
import socket
import ssl
import urllib.error
import urllib.request
from typing import Any, Callable, Dict, List, NamedTuple

PATH = "/.well-known/acme-challenge/"
FAMILIES = (("A", "IPv4", socket.AF_INET), ("AAAA", "IPv6", socket.AF_INET6))

Resolve = Callable[[str], Dict[str, List[str]]]
Fetch = Callable[[str, str, str], "Answer"]
Own = Callable[[str], bool]


class Answer(NamedTuple):
    """What came back over HTTP: the status and the start of the body, or status 0 and why nothing came."""

    status: int
    body: str


def resolve(name: str) -> dict[str, list[str]]:
    """Return the addresses of a name by the kind of its record; without an entry where it has none."""
    found = {}
    for record, _title, family in FAMILIES:
        try:
            answers = socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            continue
        found[record] = sorted({str(answer[4][0]) for answer in answers})
    return found


def own(address: str) -> bool:
    """Whether an address is one of this host's: the kernel binds no other."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def fetch(url: str, name: str, address: str, timeout: float = 10) -> Answer:
    """Fetch as an ACME server does: no proxy, redirects followed, their certificates not looked at.

    Whatever is asked of the name is asked at that address.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    dial = functools.partial(_dial, name, address)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Http(dial), _Https(dial, context))
    try:
        with opener.open(url, timeout=timeout) as response:
            return Answer(response.status, response.read(200).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, "")
    except urllib.error.URLError as error:
        return Answer(0, str(error.reason))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, str(error))


def _dial(name: str, address: str, place: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
    host, port = place
    return socket.create_connection((address if host == name else host, port), *arguments, **options)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, dial: Callable[..., socket.socket]) -> None:
        super().__init__()
        self._dial = dial

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **options: Any) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(host, **options)
        connection._create_connection = self._dial  # type: ignore[attr-defined]
        return connection


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, dial: Callable[..., socket.socket], context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._dial = dial
        self._trust = context

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **options: Any) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(host, context=self._trust, **options)
        connection._create_connection = self._dial  # type: ignore[attr-defined]
        return connection


def obstacles(
    name: str, token: str, server: str, resolver: Resolve = resolve, fetcher: Fetch = fetch, owner: Own = own
) -> list[str]:
    """Say for each address what keeps the name from being proven by the file `token`; server says what answers here."""
    addresses = resolver(name)
    if not any(addresses.values()):
        remedy = f"create its A record and let it point to this host, or take {name} out of the domains."
        return [f"{name} has no address: {remedy}"]
    url = f"http://{name}{PATH}{token}"
    return [
        sentence
        for record, title, _family in FAMILIES
        for address in addresses.get(record, [])
        for sentence in [_obstacle(name, record, title, address, fetcher(url, name, address), token, server, owner)]
        if sentence
    ]


def _obstacle(
    name: str, record: str, title: str, address: str, answer: Answer, token: str, server: str, owner: Own
) -> str:
    if answer.status == 200 and answer.body.strip() == token:
        return ""
    came = {
        0: f"could not be fetched ({answer.body})",
        200: "answered with something else than the file put there",
    }.get(answer.status, f"answered {answer.status}")
    what = f"{name} over {title}: its {record} record is {address}, and the challenge file {came} there."
    if owner(address):
        return f"{what} That is this host: {server} must answer on {title} port 80 below {PATH}."
    return (
        f"{what} That is no address of this host: correct or delete the {record} record, or, if the host is reached "
        f"through it all the same, open port 80 on the way and let {server} answer there."
    )
