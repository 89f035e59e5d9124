# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Would an ACME server that asks this name over HTTP find a challenge of this host? Asked before the server is."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from typing import Callable, List, NamedTuple

PATH = "/.well-known/acme-challenge/"

Resolve = Callable[[str], List[str]]
Fetch = Callable[[str], "Answer"]


class Answer(NamedTuple):
    """What came back over HTTP: the status and the start of the body, or status 0 and why nothing came."""

    status: int
    body: str


def resolve(name: str) -> list[str]:
    """Return the addresses of a name, empty where it has none."""
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError):
        return []


def fetch(url: str, timeout: float = 10) -> Answer:
    """Fetch as an ACME server does: no proxy, redirects followed, their certificates not looked at."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=timeout) as response:
            return Answer(response.status, response.read(200).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, "")
    except urllib.error.URLError as error:
        return Answer(0, str(error.reason))
    except OSError as error:
        return Answer(0, str(error))


def obstacle(name: str, token: str, webroot: str, resolver: Resolve = resolve, fetcher: Fetch = fetch) -> str:
    """Say what keeps a name from being proven by the file `token` of this host, and the remedy; empty if nothing."""
    addresses = resolver(name)
    if not addresses:
        return (
            f"{name} has no address: create its A record and let it point to this host, "
            f"or take {name} out of the domains."
        )
    url = f"http://{name}{PATH}{token}"
    answer = fetcher(url)
    if answer.status == 200 and answer.body.strip() == token:
        return ""
    came = {
        0: f"could not be fetched ({answer.body})",
        200: "answered with something else than the file put there",
    }.get(answer.status, f"answered {answer.status}")
    return (
        f"{name} resolves to {', '.join(addresses)}, and {url} {came}. "
        "Either the name points elsewhere (correct its A and AAAA records), or port 80 is closed on the way (open it), "
        f"or the web server here does not serve {webroot} below {PATH}."
    )
