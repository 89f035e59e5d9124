"""What clients get from nginx, asked from outside the host."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook
from ansible_collections.minato.fleet.molecule.shared.websocket import say

CONVERGE = Path(__file__).parents[1] / "converge.yml"
CERTIFICATE = "/etc/ssl/certs/app.test.pem"


@pytest.fixture
def address(host: Any) -> str:
    """Address at which the host is reached."""
    return str(host.check_output("hostname -I").split()[0])


@pytest.fixture
def tls(host: Any) -> ssl.SSLContext:
    """A client that trusts the scenario's certificate and nothing else."""
    return ssl.create_default_context(cadata=host.file(CERTIFICATE).content_string)


def handshake(address: str, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    """Return a connection that asked for a name and checked the answer."""
    return context.wrap_socket(socket.create_connection((address, 443), 15), server_hostname=name)


class Answer(NamedTuple):
    """An answer, its body read."""

    status: int
    headers: http.client.HTTPMessage
    text: str


def ask(
    address: str,
    path: str,
    context: ssl.SSLContext | None = None,
    name: str = "app.test",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Send one request (over TLS where a context is given) and return the answer."""
    connection = http.client.HTTPConnection(address, 80, timeout=20)
    if context:
        connection.sock = handshake(address, context, name)
    connection.request("POST" if body is not None else "GET", path, body, {"Host": name, **(headers or {})})
    answer = connection.getresponse()
    return Answer(answer.status, answer.headers, answer.read().decode())


def seen(answer: Answer) -> Any:
    """Return what the app says it was asked."""
    assert answer.status == 200
    return json.loads(answer.text)


def test_http_is_redirected_with_its_path_and_query(address: str) -> None:
    """S1.6."""
    answer = ask(address, "/staff?page=2", name="www.app.test")
    assert (answer.status, answer.headers["Location"]) == (308, "https://www.app.test/staff?page=2")


def test_challenges_are_served_before_the_redirect(host: Any, address: str) -> None:
    """S1.6: for sites, and for names that are about to become one."""
    host.check_output("mkdir -p /var/www/acme/.well-known/acme-challenge")
    host.check_output("echo proof > /var/www/acme/.well-known/acme-challenge/token")
    for name in ("app.test", "new.test"):
        answer = ask(address, "/.well-known/acme-challenge/token", name=name)
        assert (answer.status, answer.text) == (200, "proof\n")
    assert ask(address, "/.well-known/acme-challenge/nothing").status == 404


def test_the_app_answers_and_knows_who_asks(address: str, tls: ssl.SSLContext) -> None:
    """S1.6: HTTP/1.1 to the app, with Host, X-Real-IP, X-Forwarded-For as nginx saw them."""
    lies = {"X-Real-IP": "10.9.9.9", "X-Forwarded-For": "10.9.9.9", "X-Forwarded-Proto": "gopher"}
    request = seen(ask(address, "/staff?page=2", tls, headers=lies))
    assert (request["port"], request["path"], request["protocol"]) == (3000, "/staff?page=2", "HTTP/1.1")
    headers = request["headers"]
    assert headers["host"] == "app.test"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-for"] == headers["x-real-ip"] != "10.9.9.9"
    assert "connection" not in headers


def test_the_longest_prefix_wins_and_is_stripped_only_when_asked(address: str, tls: ssl.SSLContext) -> None:
    """S2.6, and whole path segments only: /apis is not /api."""
    expected = {
        "/": (3000, "/"),
        "/apis": (3000, "/apis"),
        "/api/": (3001, "/"),
        "/api/staff/1": (3001, "/staff/1"),
        "/api/v1.0/staff": (3001, "/api/v1.0/staff"),
        "/api/v1x0/staff": (3001, "/v1x0/staff"),
    }
    answers = {path: seen(ask(address, path, tls)) for path in expected}
    assert {path: (answer["port"], answer["path"]) for path, answer in answers.items()} == expected
    assert ask(address, "/api", tls).headers["Location"] == "https://app.test/api/"


@pytest.mark.parametrize(("path", "arrives_as"), [("/live?token=1", "/live?token=1"), ("/api/live", "/live")])
def test_websockets_pass(address: str, tls: ssl.SSLContext, path: str, arrives_as: str) -> None:
    """S1.6, S2.6."""
    assert say("hello", f"wss://app.test{path}", address, tls) == f"{arrives_as} hello"


def test_a_route_without_websocket_does_not_upgrade(address: str, tls: ssl.SSLContext) -> None:
    """S1.6: only where the route says so."""
    request = seen(ask(address, "/api/v1.0/live", tls, headers={"Upgrade": "websocket", "Connection": "upgrade"}))
    assert "upgrade" not in request["headers"]


def test_security_headers_are_on_every_answer(address: str, tls: ssl.SSLContext) -> None:
    """S1.6, errors included; nothing tells the version."""
    for answer in (ask(address, "/", tls), ask(address, "/", tls, body=b"x" * 2_000_000)):
        assert answer.headers["Strict-Transport-Security"] == "max-age=600"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
        assert answer.headers["Server"] == "nginx"


def test_a_header_of_the_apps_own_wins_except_hsts(address: str, tls: ssl.SSLContext) -> None:
    """S1.6: never two of one kind."""
    headers = ask(address, "/own-headers", tls).headers
    assert headers.get_all("X-Frame-Options") == ["DENY"]
    assert headers.get_all("Strict-Transport-Security") == ["max-age=600"]
    assert headers.get_all("X-Powered-By") is None


def test_a_large_body_is_refused(address: str, tls: ssl.SSLContext) -> None:
    """S1.6: by the route's own measure where it has one."""
    assert ask(address, "/", tls, body=b"x" * 1_000_000).status == 200
    assert ask(address, "/", tls, body=b"x" * 1_100_000).status == 413
    assert ask(address, "/api/v1.0/", tls, body=b"x" * 3_000_000).status == 200
    assert ask(address, "/api/v1.0/", tls, body=b"x" * 3_200_000).status == 413


def test_an_unknown_host_gets_no_answer(address: str) -> None:
    """S1.6."""
    with pytest.raises(http.client.RemoteDisconnected):
        ask(address, "/", name="other.test")
    with pytest.raises(http.client.RemoteDisconnected):
        ask(address, "/", name=address)


def test_an_unknown_name_gets_no_handshake(address: str) -> None:
    """S1.6: nor does it learn from a certificate which names are served here."""
    careless = ssl._create_unverified_context()
    assert handshake(address, careless, "app.test").version()
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        handshake(address, careless, "other.test")


@pytest.mark.parametrize(("version", "accepted"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_only_current_tls_is_spoken(address: str, tls: ssl.SSLContext, version: str, accepted: bool) -> None:
    """S1.6."""
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion[version]
    if accepted:
        assert handshake(address, tls, "app.test").version() == version.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
            handshake(address, tls, "app.test")


def test_weak_ciphers_are_refused(address: str, tls: ssl.SSLContext) -> None:
    """S1.6: no forward secrecy, no handshake."""
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers("AES128-GCM-SHA256:AES256-SHA")
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        handshake(address, tls, "app.test")


def test_http2_is_negotiated(address: str, tls: ssl.SSLContext) -> None:
    """S1.6."""
    tls.set_alpn_protocols(["h2", "http/1.1"])
    assert handshake(address, tls, "app.test").selected_alpn_protocol() == "h2"


def test_the_access_log_is_json_without_query_strings(host: Any, address: str, tls: ssl.SSLContext) -> None:
    """S1.8: tokens travel in queries, in referers too."""
    agent = f'quote " and {time.time()}'
    ask(address, "/log?token=hush", tls, headers={"Referer": "https://app.test/reset?key=hush", "User-Agent": agent})
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


def test_a_configuration_that_nginx_refuses_changes_nothing(host: Any, address: str) -> None:
    """S1.6: and nginx's own line is the message."""
    before = host.check_output("find /etc/nginx -type f -exec sha256sum {} +")
    done = run_playbook(CONVERGE, nginx_upstreams=[{"name": "front", "servers": ["nowhere.invalid:1"]}])
    assert done.returncode != 0
    assert 'host not found in upstream "nowhere.invalid:1" in /etc/nginx/conf.d/upstreams.conf:' in done.stdout
    assert host.check_output("find /etc/nginx -type f -exec sha256sum {} +") == before
    assert ask(address, "/").status == 308


def test_a_reload_that_does_not_take_is_noticed_and_undone(host: Any, address: str) -> None:
    """S1.6: nginx -t cannot see that a port is in use, and the reload itself says nothing."""
    listener = "import socket; s = socket.create_server(('127.0.0.1', 8081)); s.accept()"
    host.check_output(f'systemd-run --unit taken python3 -c "{listener}"')
    host.check_output("echo 'server { listen 127.0.0.1:8081; }' > /etc/nginx/conf.d/by_hand.conf")
    try:
        done = run_playbook(CONVERGE, nginx_security_headers={"X-New": "yes"})
    finally:
        host.check_output("rm /etc/nginx/conf.d/by_hand.conf; systemctl stop taken")
    assert done.returncode != 0
    assert "bind() to 127.0.0.1:8081 failed" in done.stdout
    assert "X-New" not in host.check_output("cat /etc/nginx/conf.d/headers.conf")
    assert ask(address, "/").status == 308


def test_a_site_no_longer_wanted_is_no_longer_served(host: Any, address: str, tls: ssl.SSLContext) -> None:
    """S1.6: and what a person put beside it stays."""
    host.check_output("echo '# mine' > /etc/nginx/conf.d/mine.conf")
    done = run_playbook(CONVERGE, nginx_sites=[])
    assert done.returncode == 0, done.stdout
    with pytest.raises(ssl.SSLError):
        handshake(address, tls, "app.test")
    assert host.file("/etc/nginx/conf.d/mine.conf").exists
    assert run_playbook(CONVERGE).returncode == 0
    assert ask(address, "/", tls).status == 200
