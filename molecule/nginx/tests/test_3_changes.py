"""What another input, or a wrong one, makes of the host."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.nginx.tests.client import CONVERGE, Client, seen
from ansible_collections.minato.fleet.molecule.nginx.tests.scanners import gixy
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook
from ansible_collections.minato.fleet.molecule.shared.websocket import say
from websockets.exceptions import ConnectionClosed

CERTIFICATE = {"certificate": "/etc/ssl/certs/app.test.pem", "certificate_key": "/etc/ssl/private/app.test.pem"}
PLAIN = {"scheme": "http", "host": "plain.app.test"}


def other_input(proxy: str, page: Path) -> dict[str, Any]:
    """An input with what the scenario's own does not show: a proxy in front, long and short waits, dead servers."""
    return {
        "nginx_trusted_proxies": [proxy],
        "nginx_health_path": "/health",
        "nginx_maintenance_allow": ["203.0.113.9"],
        "nginx_maintenance_retry_after": 60,
        "nginx_maintenance_page": str(page),
        "nginx_security_headers": {"Content-Security-Policy": "default-src 'self'", "X-Odd": r'a "quoted" \ word'},
        "nginx_upstreams": [
            {"name": "front", "servers": ["127.0.0.1:3000"]},
            {"name": "shards", "servers": ["127.0.0.1:3002 weight=2", "127.0.0.1:3003"], "sticky": "ip"},
            {"name": "standby", "servers": ["127.0.0.1:3999", "127.0.0.1:3003 backup"]},
            {"name": "dead", "servers": ["127.0.0.1:3999"]},
        ],
        "nginx_sites": [
            {
                **CERTIFICATE,
                "name": "app.test",
                "server_names": ["app.test"],
                "hsts_max_age": 31536000,
                "routes": [
                    {"path": "/", "upstream": "front"},
                    {"path": "/slow", "upstream": "front", "read_timeout": 1, "websocket": True},
                    {"path": "/hasty", "upstream": "front", "websocket": True, "websocket_timeout": 1},
                    {"path": "/shards", "upstream": "shards"},
                    {"path": "/standby", "upstream": "standby"},
                    {"path": "/dead", "upstream": "dead"},
                ],
            },
            {
                **CERTIFICATE,
                "name": "closed.app.test",
                "server_names": ["closed.app.test"],
                "hsts_max_age": 31536000,
                "maintenance": True,
                "routes": [{"path": "/", "upstream": "front", "websocket": True}],
            },
            {
                "name": "plain.app.test",
                "server_names": ["plain.app.test"],
                "https": False,
                "hsts_max_age": 31536000,
                "routes": [{"path": "/api", "upstream": "front"}],
            },
        ],
    }


@pytest.fixture(scope="module")
def me(client: Client) -> str:
    """Our address, as nginx sees it."""
    return str(seen(client.ask("/"))["headers"]["x-real-ip"])


@pytest.fixture(scope="class")
def _other_input(me: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Configure nginx in another way, and back."""
    page = tmp_path_factory.mktemp("pages") / "maintenance.html"
    page.write_text("<!DOCTYPE html>\n<title>Back at four</title>\n", encoding="utf-8")
    done = run_playbook(CONVERGE, **other_input(me, page))
    assert done.returncode == 0, done.stdout
    yield
    done = run_playbook(CONVERGE)
    assert done.returncode == 0, done.stdout


def by_way_of(client: str) -> dict[str, str]:
    """The headers of a proxy in front of nginx."""
    return {"X-Forwarded-For": f"10.9.9.9, {client}", "X-Forwarded-Proto": "https"}


@pytest.mark.usefixtures("_other_input")
class TestOtherInput:
    """One reconfiguration for all of these."""

    def test_a_trusted_proxy_is_believed(self, host: Any, client: Client) -> None:
        """S2.3, S4.4: about the last address that it added, and about TLS."""
        request = seen(client.ask("/api", headers=by_way_of("203.0.113.7"), **PLAIN))
        assert request["headers"]["x-real-ip"] == request["headers"]["x-forwarded-for"] == "203.0.113.7"
        assert request["headers"]["x-forwarded-proto"] == "https"
        assert '"client":"203.0.113.7"' in host.file("/var/log/nginx/plain.app.test.access.log").content_string
        assert seen(client.ask("/api", **PLAIN))["headers"]["x-forwarded-proto"] == "http"

    def test_a_site_without_tls_is_served_over_http(self, client: Client) -> None:
        """S4.4: its challenges and headers too; there is nothing at a path that no route has."""
        assert client.ask("/", **PLAIN).status == 404
        assert client.ask("/api", **PLAIN).headers["Content-Security-Policy"] == "default-src 'self'"
        assert client.ask("/.well-known/acme-challenge/nothing", **PLAIN).status == 404

    def test_load_balancers_are_answered_whatever_they_ask_for(self, client: Client) -> None:
        """S4.4."""
        answer = client.ask("/health", host=client.address, scheme="http")
        assert (answer.status, answer.text) == (200, "ok\n")

    def test_clients_stay_on_a_server_by_their_address(self, client: Client) -> None:
        """S3.14: known through the proxy."""
        ports = {
            number: {seen(client.ask("/shards", headers=by_way_of(f"203.0.113.{number}")))["port"] for _again in "123"}
            for number in range(12)
        }
        assert all(len(found) == 1 for found in ports.values())
        assert set.union(*ports.values()) == {3002, 3003}

    def test_backups_stand_in(self, client: Client) -> None:
        """S2.9."""
        assert seen(client.ask("/standby"))["port"] == 3003

    def test_a_dead_app_gets_a_page(self, client: Client) -> None:
        """S2.9: with the security headers; JSON for programs."""
        answer = client.ask("/dead")
        assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
        assert "応答していません" in answer.text
        assert answer.headers["X-Odd"] == r'a "quoted" \ word'
        assert client.ask("/dead", headers={"Accept": "application/json"}).text == '{"error": "unavailable"}\n'

    def test_a_slow_app_is_given_up_and_its_websockets_are_not(self, client: Client) -> None:
        """S1.6: each by its own time."""
        assert client.ask("/slow").status == 504
        assert say("hello", "wss://app.test/slow", client.address, client.tls(), idle=1.5) == "/slow hello"
        with pytest.raises(ConnectionClosed):
            say("hello", "wss://app.test/hasty", client.address, client.tls(), idle=1.5)

    def test_a_site_under_maintenance(self, host: Any, client: Client) -> None:
        """S1.10: shows the page it was given; its keepers reach it, and so do its challenges."""
        answer = client.ask("/", host="closed.app.test")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
        assert "Back at four" in answer.text
        assert client.ask("/", host="closed.app.test", headers=by_way_of("203.0.113.9")).status == 200
        host.check_output("mkdir -p /var/www/acme/.well-known/acme-challenge")
        host.check_output("echo proof > /var/www/acme/.well-known/acme-challenge/token")
        path = "/.well-known/acme-challenge/token"
        assert client.ask(path, host="closed.app.test", scheme="http").text == "proof\n"
        assert client.ask("/").status == 200

    def test_sites_that_are_gone_are_no_longer_served(self, host: Any, client: Client) -> None:
        """S1.6: and what a person put beside them stays."""
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            client.handshake("www.app.test")
        host.check_output("echo '# mine' > /etc/nginx/conf.d/mine.conf")

    def test_gixy_has_nothing_to_say_here_either(self, host: Any, tmp_path: Path) -> None:
        """S1.6."""
        assert gixy(host, tmp_path) == []


def test_what_was_changed_is_back(host: Any, client: Client) -> None:
    """S1.6: maintenance is over by the next run without it; a stranger's file has seen two runs."""
    assert client.ask("/", host="www.app.test").status == 308
    assert host.file("/etc/nginx/conf.d/mine.conf").exists


def tree(host: Any) -> str:
    """What there is below /etc/nginx."""
    return str(host.check_output("find /etc/nginx -type f -exec sha256sum {} +"))


def test_a_wrong_input_stops_before_the_first_change(host: Any) -> None:
    """S1.6: all that is wrong is said at once."""
    before = tree(host)
    route = {"path": "/", "upstream": "frnot", "rate_limit": "10/s"}
    done = run_playbook(
        CONVERGE, nginx_sites=[{**CERTIFICATE, "name": "app.test", "server_names": ["app.test"], "routes": [route]}]
    )
    assert done.returncode != 0
    assert "nginx_sites app.test, route /: frnot is not in nginx_upstreams." in done.stdout
    assert "nginx_sites app.test, route /: rate_limit is '10/s'." in done.stdout
    assert "Configure nginx" not in done.stdout
    assert tree(host) == before


def test_a_configuration_that_nginx_refuses_changes_nothing(host: Any, client: Client) -> None:
    """S1.6: and nginx's own line is the message."""
    before = tree(host)
    done = run_playbook(CONVERGE, nginx_upstreams=[{"name": "front", "servers": ["nowhere.invalid:1"]}], nginx_sites=[])
    assert done.returncode != 0
    assert 'host not found in upstream "nowhere.invalid:1" in /etc/nginx/conf.d/upstreams.conf:' in done.stdout
    assert tree(host) == before
    assert client.ask("/").status == 200


def test_a_reload_that_does_not_take_is_noticed_and_undone(host: Any, client: Client) -> None:
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
    assert client.ask("/").status == 200
