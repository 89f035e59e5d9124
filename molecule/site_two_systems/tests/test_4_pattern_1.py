"""One host for each system (S2.3), reached as before through the gateway of the first."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

CONTAINER = "minato-site_two_systems-2"


def test_users_notice_nothing(site: Any, second: Any, medical: dict[str, str], social: dict[str, str]) -> None:
    """S2.6: the same name, certificate and paths; WebSockets pass through both."""
    assert site.ask("GET", "/api/medical/staff", headers=medical)[0] == 200
    assert json.loads(site.say("", "/api/social/feed", social))["type"] == "hello"
    status, _headers, told = site.ask("GET", "/api/social/version")
    assert status == 200
    assert str(told["pid"]) in second.check_output("pgrep -u voicedrive-api -f server.js").split()


def test_the_second_host_knows_who_asks(site: Any, second: Any) -> None:
    """What the gateway says about its client is believed there; what somebody else says is not."""
    site.ask("GET", "/api/social/health", headers={"X-Forwarded-For": "203.0.113.9"})
    last = second.check_output("tail -n 1 /var/log/nginx/api.s2.test.access.log")
    gateway = subprocess.check_output(
        ["docker", "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "minato-site_two_systems"],
        text=True,
    )
    assert json.loads(last)["client"] == gateway.strip()


def test_the_gateway_passes_nothing_to_who_cannot_prove_to_be_the_host(first: Any, second: Any, site: Any) -> None:
    place = "/etc/ssl/fleet/.placeholder/api.s2.test"
    second.check_output(f"cp -a {place} /root/kept")
    try:
        second.check_output(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=api.s2.test"
            f" -addext subjectAltName=DNS:api.s2.test -keyout {place}/privkey.pem -out {place}/fullchain.pem"
        )
        second.check_output("/etc/nginx/reload")
        first.check_output("/etc/nginx/reload")  # forgets the connections that it keeps
        # A worker that is about to end may still have a connection of before.
        deadline = time.monotonic() + 20
        while site.ask("GET", "/api/social/health")[0] == 200:
            assert time.monotonic() < deadline, "requests are passed on to a host that proves nothing"
            time.sleep(0.2)
        assert site.ask("GET", "/api/social/health")[0] == 502
    finally:
        second.check_output(f"rm -r {place} && mv /root/kept {place} && /etc/nginx/reload")
        first.check_output("/etc/nginx/reload")
    assert site.ask("GET", "/api/social/health")[0] == 200


def test_when_the_second_host_is_gone(site: Any, medical: dict[str, str], social: dict[str, str]) -> None:
    """S2.9 across hosts: the gateway answers for it, and the medical system does not notice."""
    subprocess.run(["docker", "pause", CONTAINER], check=True, capture_output=True)
    try:
        status, headers, _body = site.ask("GET", "/api/social/posts", headers={**social, "Accept": "application/json"})
        assert (status, headers["Content-Type"]) == (504, "application/json")
        assert site.ask("GET", "/api/medical/staff", headers=medical)[0] == 200
    finally:
        subprocess.run(["docker", "unpause", CONTAINER], check=True, capture_output=True)
    assert site.ask("GET", "/api/social/posts", headers=social)[0] == 200
