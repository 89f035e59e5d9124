"""From fleet_forwards to the input of the role nginx."""

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.filter.fleet import FilterModule

FILTERS = FilterModule().filters()
OWN = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
CHAIN = OWN + OWN.replace("own", "authority")
HOSTS = {
    "systems-2": {"private_ip_address": "10.0.0.2"},
    "systems-6": {"fleet_address": "fd00::6", "ansible_host": "x"},
}


@pytest.fixture
def apps() -> list[dict[str, t.Any]]:
    fleet = yaml.safe_load((Path(__file__).parent / "fleet.yml").read_text(encoding="utf-8"))
    return t.cast(
        "list[dict[str, t.Any]]", FILTERS["forwarded_apps"](fleet["fleet_apps"], {"voicedrive-api": "systems-2"})
    )


def test_the_path_reaches_the_other_host_whole(apps: list[dict[str, t.Any]]) -> None:
    (site,) = FILTERS["nginx_sites"](apps)
    (route,) = site["routes"]
    assert (route["path"], route["upstream"], route["strip_prefix"]) == ("/api/social/", "voicedrive-api", False)
    assert route["rate_limit"] == "10r/s"


@pytest.mark.parametrize(("text", "ca"), [(OWN, OWN), (CHAIN, "")])
def test_only_a_certificate_that_no_authority_issued_is_its_own_proof(
    apps: list[dict[str, t.Any]], text: str, ca: str
) -> None:
    (place,) = FILTERS["shown_certificates"](apps)
    assert place == {
        "app": "voicedrive-api",
        "to": "systems-2",
        "path": "/etc/ssl/fleet/api.medical.test/fullchain.pem",
    }
    shown = [{"item": place, "content": base64.b64encode(text.encode()).decode()}]
    assert FILTERS["forward_upstreams"](apps, shown, HOSTS, ["voicedrive-api"]) == [
        {"name": "voicedrive-api", "servers": ["10.0.0.2:443"], "tls": True, "ca": ca, "maintenance": True}
    ]


def test_what_is_not_there_yet_in_check_mode(apps: list[dict[str, t.Any]]) -> None:
    apps[0]["forward_to"] = "systems-6"
    shown = [{"item": place, "failed": False} for place in FILTERS["shown_certificates"](apps)]
    (upstream,) = FILTERS["forward_upstreams"](apps, shown, HOSTS)
    assert (upstream["servers"], upstream["ca"]) == (["[fd00::6]:443"], "")


def test_who_forwards_here() -> None:
    forwards: dict[str, dict[str, str]] = {"one": {"a": "two", "b": "three"}, "two": {}, "three": {"a": "two"}}
    assert FILTERS["forwarded_here"](forwards, "two") == {"a": ["one", "three"]}
    assert FILTERS["host_addresses"](["systems-6", "systems-2", "systems-6"], HOSTS) == ["fd00::6", "10.0.0.2"]
