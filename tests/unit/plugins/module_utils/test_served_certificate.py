# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which certificate clients are shown: against data, and against a real server."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._served_certificate import (
    Served,
    leaf,
    look,
    others,
    still_others,
)

Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    """Two certificates with their keys."""
    made = []
    for number in (1, 2):
        folder = tmp_path_factory.mktemp(f"pair{number}")
        made.append((folder / "fullchain.pem", folder / "privkey.pem"))
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=app.test"
        subprocess.run(
            [*command.split(), "-out", made[-1][0], "-keyout", made[-1][1]], check=True, stderr=subprocess.DEVNULL
        )
    return made


@pytest.fixture
def port(pairs: list[Pair]) -> Iterator[int]:
    """A server with the first of them, which refuses the name other.test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pairs[0])
    refused = ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    context.sni_callback = lambda _socket, name, _context: refused if name == "other.test" else None
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _client = listener.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])


def test_a_client_sees_what_is_served(pairs: list[Pair], port: int) -> None:
    assert look("app.test", "127.0.0.1", port) == leaf(pairs[0][0].read_text())


@pytest.mark.parametrize(
    ("number", "names", "wrong"),
    [
        pytest.param(0, ["app.test", "*.app.test"], [], id="the one on disk"),
        pytest.param(1, ["app.test"], ["app.test on 127.0.0.1:PORT"], id="another, and nothing at all over IPv6"),
        pytest.param(1, ["*.app.test"], ["certificate-check.app.test on 127.0.0.1:PORT"], id="some name of a wildcard"),
        pytest.param(1, ["other.test"], [], id="a name that nobody answers to"),
    ],
)
def test_others(pairs: list[Pair], port: int, number: int, names: list[str], wrong: list[str]) -> None:
    found = others(Served(names, port, pairs[number][0].read_text()))
    assert [str(one) for one in found] == [place.replace("PORT", str(port)) for place in wrong]


def test_a_certificate_that_is_served_nowhere_is_not_looked_at(pairs: list[Pair]) -> None:
    assert others(Served(["app.test"], 0, pairs[0][0].read_text()), lambda *_place: b"another") == []


def test_both_families_are_looked_at(pairs: list[Pair]) -> None:
    chain = pairs[0][0].read_text()
    old_over_ipv6 = {"127.0.0.1": leaf(chain), "::1": b"old"}
    found = others(Served(["app.test"], 443, chain), lambda _name, address, _port: old_over_ipv6[address])
    assert [str(one) for one in found] == ["app.test on [::1]:443"]


def test_a_server_is_given_time(pairs: list[Pair]) -> None:
    chain = pairs[0][0].read_text()
    shown = iter([b"old", b"old", None, leaf(chain)])
    wrong = others(Served(["app.test"], 443, chain), lambda _name, address, _port: b"old" if ":" in address else None)
    assert still_others(wrong, leaf(chain), 5, lambda *_place: next(shown)) == []
    assert [one.certificate for one in still_others(wrong, leaf(chain), 0, lambda *_place: None)] == [None]


def test_a_chain_without_a_certificate_is_told() -> None:
    with pytest.raises(ValueError, match="no certificate"):
        leaf("-----BEGIN PRIVATE KEY-----")
