"""What a route can do with its requests besides passing them on."""

from __future__ import annotations

import gzip
import http.client
import time
import uuid
from collections import Counter
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.nginx.tests.client import Client, seen
from ansible_collections.minato.fleet.molecule.shared.websocket import say
from websockets.exceptions import InvalidStatus

STYLE = "/assets/css/app-4f2a1c.css"
# Sends one request to app.test from the host itself and prints the status.
FROM_WITHIN = """
import http.client, socket, ssl, sys
bare = socket.create_connection(("127.0.0.1", 443))
connection = http.client.HTTPConnection("127.0.0.1")
connection.sock = ssl._create_unverified_context().wrap_socket(bare, server_hostname="app.test")
connection.request("GET", sys.argv[1], headers={"Host": "app.test"})
print(connection.getresponse().status)
"""


def status_from_within(host: Any, path: str) -> int:
    """Ask from an address that is on the allow lists."""
    return int(host.check_output("python3 -c %s %s", FROM_WITHIN, path))


def test_too_many_requests_are_refused(client: Client) -> None:
    """S3.14: 30 a minute and 3 ahead of that; another route is not affected."""
    answers = [client.ask("/login", body=b"")]
    while answers[-1].status == 200 and len(answers) < 30:
        answers.append(client.ask("/login", body=b""))
    assert len(answers) > 4
    assert answers[-1].status == 429
    assert answers[-1].headers["X-Frame-Options"] == "SAMEORIGIN"
    assert client.ask("/").status == 200


def test_only_listed_sources_pass(host: Any, client: Client) -> None:
    """S3.14: neither a request, nor an upgrade, nor a claim about one's address."""
    assert client.ask("/metrics").status == 403
    assert client.ask("/metrics/live", headers={"X-Forwarded-For": "203.0.113.7"}).status == 403
    with pytest.raises(InvalidStatus, match="403"):
        say("hello", "wss://app.test/metrics", client.address, client.tls())
    assert status_from_within(host, "/metrics") == 200


def test_files_are_kept_for_ever_where_their_names_say_so(client: Client) -> None:
    """S3.14, S4.7: with the security headers, and never an error."""
    answer = client.ask(STYLE)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/css")
    assert answer.headers.get_all("Cache-Control") == ["public, max-age=31536000, immutable"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    missing = client.ask("/assets/css/app-000000.css")
    assert (missing.status, missing.headers["Cache-Control"]) == (404, None)
    assert client.ask("/").headers["Cache-Control"] is None


def test_files_are_compressed(client: Client) -> None:
    """S1.6."""
    plain = client.ask(STYLE).text
    connection = http.client.HTTPConnection(client.address, timeout=20)
    connection.sock = client.handshake("app.test")
    connection.request("GET", STYLE, headers={"Host": "app.test", "Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    body = answer.read()
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert len(body) < len(plain) / 2
    assert gzip.decompress(body).decode() == plain


def test_a_single_page_app_answers_every_path_and_is_asked_for_each_time(client: Client) -> None:
    """S4.7."""
    page = client.ask("/admin/")
    assert (page.status, page.headers["Cache-Control"]) == (200, "no-cache")
    deep = client.ask("/admin/staff/17/edit?tab=2")
    assert (deep.status, deep.headers["Content-Type"], deep.text) == (200, "text/html", page.text)
    assert deep.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert client.ask("/admin/", headers={"If-None-Match": page.headers["ETag"]}).status == 304
    bare = client.ask("/admin?tab=2")
    assert (bare.status, bare.headers["Location"]) == (308, "/admin/?tab=2")


def test_nothing_but_the_directorys_files_is_served(host: Any, client: Client) -> None:
    """S1.6: no way up, no hidden file, no listing."""
    host.check_output("mkdir -p /srv/app/assets/.git /srv/app/assets-old")
    for path in ("assets/.env", "assets/.git/config", "assets-old/secret", "secret"):
        host.check_output(f"echo hush > /srv/app/{path}")
    ways = [
        "/.env",
        "/.git/config",
        "/%2eenv",
        "/../secret",
        "/..%2fsecret",
        "/%2e%2e/secret",
        "../secret",
        "..%2fsecret",
    ]
    for way in [*ways, "-old/secret", "/css/", "/css"]:
        answer = client.ask(f"/assets{way}")
        assert "hush" not in answer.text, way
        assert "app-4f2a1c" not in answer.text, way
    assert client.ask("/assets/.env").status == 403


def chat(client: Client, path: str = "/chat", cookie: str = "", body: bytes | None = None) -> Any:
    """What the chat says it was asked, by a client that has the cookie."""
    return seen(client.ask(path, body=body, headers={"Cookie": f"nginx_sticky={cookie}"} if cookie else {}))


def cookie_of(client: Client, port: int) -> str:
    """The cookie of some client that the server on this port has."""
    cookies = (uuid.uuid4().hex for _attempt in range(100))
    return next(cookie for cookie in cookies if chat(client, cookie=cookie)["port"] == port)


def test_a_client_stays_on_its_server(client: Client) -> None:
    """S3.14, S2.4: by a cookie that it gets once, WebSockets too; clients are spread over the servers."""
    first = client.ask("/chat")
    cookie, *attributes = first.headers["Set-Cookie"].split("; ")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"]
    again = [client.ask("/chat/room", headers={"Cookie": f"theme=dark; {cookie}"}) for _attempt in range(6)]
    assert {seen(answer)["port"] for answer in again} == {seen(first)["port"]}
    assert not any(answer.headers["Set-Cookie"] for answer in again)
    assert client.ask("/").headers["Set-Cookie"] is None
    assert set(Counter(chat(client)["port"] for _attempt in range(20))) == {3002, 3003}


def test_a_post_is_not_repeated_and_a_get_is(client: Client) -> None:
    """S2.9: a server breaks down over a request that it has read."""
    cookie = cookie_of(client, 3002)
    assert chat(client, "/chat/drop/3002", cookie)["port"] == 3003
    assert client.ask("/chat/drop/3002", body=b"once", headers={"Cookie": f"nginx_sticky={cookie}"}).status == 502


def test_the_others_take_over_from_a_server_that_died(host: Any, client: Client) -> None:
    """S2.9: its clients do not notice, and come back to it; those of the others stay where they were."""
    mine, theirs = cookie_of(client, 3002), cookie_of(client, 3003)
    host.check_output("systemctl stop echo@3002")
    try:
        assert {chat(client, cookie=mine)["port"] for _attempt in range(6)} == {3003}
        assert chat(client, cookie=mine, body=b"x")["port"] == 3003
        assert chat(client, cookie=theirs)["port"] == 3003
    finally:
        host.check_output("systemctl start echo@3002")
    deadline = time.monotonic() + 20
    while chat(client, cookie=mine)["port"] != 3002:
        assert time.monotonic() < deadline, "its clients have not come back to it"
        time.sleep(0.5)
    assert chat(client, cookie=theirs)["port"] == 3003


def test_an_app_under_maintenance_says_so_to_everybody_but_its_keepers(host: Any, client: Client) -> None:
    """S1.10, S2.9: in the client's language, and the other apps of the site go on."""
    for body in (None, b"x"):
        answer = client.ask("/reports/2026", body=body)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "600")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "Down for maintenance" in answer.text
        assert "メンテナンス中" in answer.text
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    answer = client.ask("/reports", headers={"Accept": "application/json, text/plain, */*"})
    assert (answer.status, answer.headers["Content-Type"]) == (503, "application/json")
    assert answer.text == '{"error": "maintenance"}\n'
    assert status_from_within(host, "/reports") == 200
    assert client.ask("/").status == client.ask("/api/").status == 200
    assert client.ask("/.nginx/maintenance.html").status == 404


def test_a_redirecting_site_keeps_the_path(client: Client) -> None:
    """S1.6: and is as secure as any other."""
    answer = client.ask("/staff?page=2", host="www.app.test", body=b"")
    assert (answer.status, answer.headers["Location"]) == (308, "https://app.test/staff?page=2")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
