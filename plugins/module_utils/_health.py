# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask an app over HTTP or HTTPS whether it can do its work."""

from __future__ import annotations

import http.client
import itertools
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from ansible_collections.minato.fleet.plugins.module_utils._priority import behind_the_apps

_ANSWER_WITHIN = 5.0  # seconds for one answer
_SHOWN = 500  # bytes of an answer that are worth showing
_WARM_REQUESTS, _WARM_RATE, _WARM_AT_ONCE = 200, 125, 4
_WARM_WITHIN = 2.0  # seconds


def complaint(url: str) -> str:
    """Ask once. Returns what is wrong, and nothing for an answer of 200."""
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        body = answer.read(_SHOWN).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if answer.status == 200 else f"status {answer.status}: {body or '(no body)'}"


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port or 80, timeout=_ANSWER_WITHIN)
    # The app is asked over an address of the host's own, which its certificate does not name.
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port or 443, timeout=_ANSWER_WITHIN, context=trusting)


def wait_until_healthy(url: str, seconds: float) -> str:
    """Ask until the answer is 200 or the time is over. Returns what was wrong with each answer, else nothing."""
    end = time.monotonic() + seconds
    complaints: list[str] = []
    while True:
        wrong = complaint(url)
        if not wrong:
            return ""
        complaints.append(wrong)
        if time.monotonic() > end:
            return in_order(complaints)
        time.sleep(0.5)


def warm(urls: Sequence[str]) -> None:
    """Ask processes that have just been started again and again, each in its turn, before their users do.

    What they do for the first time takes many times as long: code is compiled, connections to a database are opened.
    Whoever serves meanwhile has the same processors and the same database: so not all is asked at once.
    Nothing depends on the answers.
    """
    began = time.monotonic()

    def ask(first: int) -> None:
        behind_the_apps()
        for turn in range(first, _WARM_REQUESTS, _WARM_AT_ONCE):
            time.sleep(max(0.0, began + turn / _WARM_RATE - time.monotonic()))
            if time.monotonic() > began + _WARM_WITHIN:
                return
            complaint(urls[turn % len(urls)])

    askers = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(_WARM_AT_ONCE)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()


def in_order(complaints: Iterable[str]) -> str:
    """What was wrong with answers, as a sentence: what was said many times in a row is told once, with the number."""
    told = [(each, len(list(group))) for each, group in itertools.groupby(complaints)]
    return "; then ".join(f"{each} ({count} times)" if count > 1 else each for each, count in told)
