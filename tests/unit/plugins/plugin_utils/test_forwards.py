"""From fleet_forwards to the input of the role nginx."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.filter.fleet import FilterModule

FILTERS = FilterModule().filters()
OWN = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
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


def test_the_other_host_is_held_against_what_it_signed_itself(apps: list[dict[str, t.Any]]) -> None:
    (place,) = FILTERS["shown_certificates"](apps)
    assert place == {"app": "voicedrive-api", "to": "systems-2", "names": ["api.medical.test"]}
    assert FILTERS["forward_upstreams"](apps, [{"item": place, "pem": OWN}], HOSTS, ["voicedrive-api"]) == [
        {"name": "voicedrive-api", "servers": ["10.0.0.2:443"], "tls": True, "ca": OWN, "maintenance": True}
    ]


def test_without_the_tasks_that_read_it(apps: list[dict[str, t.Any]]) -> None:
    apps[0]["forward_to"] = "systems-6"
    (upstream,) = FILTERS["forward_upstreams"](apps, [], HOSTS)
    assert (upstream["servers"], upstream["ca"]) == (["[fd00::6]:443"], "")


def test_who_forwards_here() -> None:
    forwards: dict[str, dict[str, str]] = {"one": {"a": "two", "b": "three"}, "two": {}, "three": {"a": "two"}}
    assert FILTERS["forwarded_here"](forwards, "two") == {"a": ["one", "three"]}
    assert FILTERS["host_addresses"](["systems-6", "systems-2", "systems-6"], HOSTS) == ["fd00::6", "10.0.0.2"]
