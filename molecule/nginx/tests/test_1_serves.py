"""What clients get from nginx, asked from outside the host."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.nginx.tests.client import Client, seen
from ansible_collections.minato.fleet.molecule.shared.websocket import say


def test_http_is_redirected_with_its_path_and_query(client: Client) -> None:
    """S1.6."""
    answer = client.ask("/staff?page=2", host="www.app.test", scheme="http")
    assert (answer.status, answer.headers["Location"]) == (308, "https://www.app.test/staff?page=2")


def test_challenges_are_served_before_the_redirect(host: Any, client: Client) -> None:
    """S1.6: for sites, and for names that are about to become one."""
    host.check_output("mkdir -p /var/www/acme/.well-known/acme-challenge")
    host.check_output("echo proof > /var/www/acme/.well-known/acme-challenge/token")
    for name in ("app.test", "new.test"):
        answer = client.ask("/.well-known/acme-challenge/token", host=name, scheme="http")
        assert (answer.status, answer.text) == (200, "proof\n")
    assert client.ask("/.well-known/acme-challenge/nothing", scheme="http").status == 404


def test_the_app_answers_and_knows_who_asks(client: Client) -> None:
    """S1.6: HTTP/1.1 to the app, with Host, X-Real-IP, X-Forwarded-For as nginx saw them."""
    lies = {"X-Real-IP": "10.9.9.9", "X-Forwarded-For": "10.9.9.9", "X-Forwarded-Proto": "gopher"}
    request = seen(client.ask("/staff?page=2", headers=lies))
    assert (request["port"], request["path"], request["protocol"]) == (3000, "/staff?page=2", "HTTP/1.1")
    headers = request["headers"]
    assert headers["host"] == "app.test"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-for"] == headers["x-real-ip"] != "10.9.9.9"
    assert "connection" not in headers


def test_the_longest_prefix_wins_and_is_stripped_only_when_asked(client: Client) -> None:
    """S2.6, and whole path segments only: /apis is not /api."""
    expected = {
        "/": (3000, "/"),
        "/apis": (3000, "/apis"),
        "/api/v1.0": (3001, "/api/v1.0"),
        "/api/": (3001, "/"),
        "/api/staff/1": (3001, "/staff/1"),
        "/api/v1.0/staff": (3001, "/api/v1.0/staff"),
        "/api/v1x0/staff": (3001, "/v1x0/staff"),
    }
    answers = {path: seen(client.ask(path)) for path in expected}
    assert {path: (answer["port"], answer["path"]) for path, answer in answers.items()} == expected
    assert client.ask("/api").headers["Location"] == "/api/"


def test_the_path_reaches_the_app_as_the_client_wrote_it(client: Client) -> None:
    """S2.6: nothing is decoded on the way, stripped or not; who hides the prefix from being stripped is refused."""
    assert seen(client.ask("/staff/a%2Fb%20c?next=%2Fd"))["path"] == "/staff/a%2Fb%20c?next=%2Fd"
    assert seen(client.ask("/api/staff/a%2Fb%20c?next=%2Fd"))["path"] == "/staff/a%2Fb%20c?next=%2Fd"
    assert client.ask("/%61pi/staff").status == 400


@pytest.mark.parametrize(("path", "arrives_as"), [("/live?token=1", "/live?token=1"), ("/api/live", "/live")])
def test_websockets_pass(client: Client, path: str, arrives_as: str) -> None:
    """S1.6, S2.6."""
    assert say("hello", f"wss://app.test{path}", client.address, client.tls()) == f"{arrives_as} hello"


def test_a_route_without_websocket_does_not_upgrade(client: Client) -> None:
    """S1.6: only where the route says so."""
    request = seen(client.ask("/api/v1.0/live", headers={"Upgrade": "websocket", "Connection": "upgrade"}))
    assert "upgrade" not in request["headers"]


def test_security_headers_are_on_every_answer(client: Client) -> None:
    """S1.6, errors included; nothing tells the version."""
    for answer in (client.ask("/"), client.ask("/", body=b"x" * 2_000_000)):
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
        assert answer.headers["Server"] == "nginx"


def test_a_header_of_the_apps_own_wins_except_hsts(client: Client) -> None:
    """S1.6: never two of one kind."""
    headers = client.ask("/own-headers").headers
    assert headers.get_all("X-Frame-Options") == ["DENY"]
    assert headers.get_all("Strict-Transport-Security") == ["max-age=31536000"]
    assert headers.get_all("X-Powered-By") is None


def test_a_large_body_is_refused(client: Client) -> None:
    """S1.6: by the route's own measure where it has one."""
    assert client.ask("/", body=b"x" * 1_000_000).status == 200
    assert client.ask("/", body=b"x" * 1_100_000).status == 413
    assert client.ask("/api/v1.0/", body=b"x" * 3_000_000).status == 200
    assert client.ask("/api/v1.0/", body=b"x" * 3_200_000).status == 413


def test_an_unknown_host_gets_no_answer(client: Client) -> None:
    """S1.6."""
    with pytest.raises(http.client.RemoteDisconnected):
        client.ask("/", host="other.test", scheme="http")
    with pytest.raises(http.client.RemoteDisconnected):
        client.ask("/", host=client.address, scheme="http")


def test_an_unknown_name_gets_no_handshake(client: Client) -> None:
    """S1.6: nor does it learn from a certificate which names are served here."""
    careless = ssl._create_unverified_context()
    assert client.handshake("app.test", careless).version()
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        client.handshake("other.test", careless)


def test_a_connection_made_for_one_site_does_not_serve_another_name(client: Client) -> None:
    """S1.6: 421 has the client connect again for that name, where it is refused."""
    assert client.ask("/", host="other.test", connect="app.test").status == 421


@pytest.mark.parametrize(("version", "accepted"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_only_current_tls_is_spoken(client: Client, version: str, accepted: bool) -> None:
    """S1.6."""
    tls = client.tls()
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion[version]
    if accepted:
        assert client.handshake("app.test", tls).version() == version.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
            client.handshake("app.test", tls)


def test_weak_ciphers_are_refused(client: Client) -> None:
    """S1.6: no forward secrecy, no handshake."""
    tls = client.tls()
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers("AES128-GCM-SHA256:AES256-SHA")
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        client.handshake("app.test", tls)


def test_http2_is_negotiated(client: Client) -> None:
    """S1.6."""
    tls = client.tls()
    tls.set_alpn_protocols(["h2", "http/1.1"])
    assert client.handshake("app.test", tls).selected_alpn_protocol() == "h2"


def test_the_access_log_is_json_without_query_strings(host: Any, client: Client) -> None:
    """S1.8: tokens travel in queries, in referers too."""
    agent = f'quote " and {time.time()}'
    client.ask("/log?token=hush", headers={"Referer": "https://app.test/reset?key=hush", "User-Agent": agent})
    lines = [json.loads(line) for line in host.file("/var/log/nginx/app.test.access.log").content_string.splitlines()]
    (line,) = [line for line in lines if line["agent"] == agent]
    assert (line["path"], line["referer"], line["status"]) == ("/log", "https://app.test/reset", 200)
    assert "hush" not in host.file("/var/log/nginx/app.test.access.log").content_string


def test_the_configuration_is_clean_and_the_packages_site_is_gone(host: Any) -> None:
    """S1.6."""
    assert "warn" not in host.run("nginx -t").stderr
    assert not host.file("/etc/nginx/sites-enabled/default").exists
    assert host.file("/etc/nginx/mime.types").exists
    assert host.service("nginx").is_running
    assert host.service("nginx").is_enabled


def test_workers_are_not_root(host: Any) -> None:
    """S1.6."""
    assert {worker.user for worker in host.process.filter(comm="nginx") if worker.ppid != 1} == {"www-data"}
