# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a site at one address as its clients would, again and again, and keep what it said."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from typing import Any, NamedTuple

SHOWN = 500  # bytes of an answer that are worth showing


class Question(NamedTuple):
    """A request over TLS to a name, which stands for this address.

    ca: certificates (PEM) to hold its own against. verify: whether it is held against any.
    """

    name: str
    address: str
    port: int
    path: str
    ca: str
    verify: bool = True

    def __str__(self) -> str:
        return f"https://{self.name}{self.path} at {self.address}"


class Answer(NamedTuple):
    """Status (0: none) and the beginning of the body, or what went wrong."""

    status: int
    text: str

    def __str__(self) -> str:
        return f"status {self.status}: {self.text or '(no body)'}" if self.status else self.text


class _Connection(http.client.HTTPSConnection):
    """To an address, for the name of another."""

    def __init__(self, question: Question, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(question.name, question.port, timeout=timeout, context=context)
        self._question, self._tls, self._seconds = question, context, timeout

    def connect(self) -> None:
        raw = socket.create_connection((self._question.address, self._question.port), self._seconds)
        self.sock: Any = self._tls.wrap_socket(raw, server_hostname=self._question.name)


def ask(question: Question, timeout: float) -> Answer:
    """Ask once."""
    context = ssl.create_default_context(cadata=question.ca or None)
    # A certificate that a host signed itself names no usage of its key.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if not question.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    connection = _Connection(question, context, timeout)
    try:
        connection.request("GET", question.path)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(SHOWN).decode("utf-8", "replace").strip())
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, str(error) or type(error).__name__)
    finally:
        connection.close()


def answers(question: Question, status: str, tries: int, delay: float, timeout: float) -> list[Answer]:
    """Ask until the status matches a regular expression, or so many times. The last answer is the one that counts."""
    said: list[Answer] = []
    while True:
        said.append(ask(question, timeout))
        if is_as_wanted(said[-1], status) or len(said) >= tries:
            return said
        time.sleep(delay)


def is_as_wanted(answer: Answer, status: str) -> bool:
    return bool(answer.status and re.match(status, str(answer.status)))
