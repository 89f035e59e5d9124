"""The role nginx: what it refuses, whole sentences, and that both places say the same about its defaults."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.plugin_utils import nginx_refusals, nginx_sites
from ansible_collections.minato.fleet.tests.lint.house import ROOT, load_mapping

CASES = yaml.safe_load((Path(__file__).parent / "nginx_refusals_cases.yml").read_text(encoding="utf-8"))


def given(case: dict[str, t.Any]) -> dict[str, t.Any]:
    """An input without fault, with the case's change."""
    base: dict[str, t.Any] = {
        "upstreams": [{"name": "front", "servers": ["127.0.0.1:3000"]}],
        "site": {"name": "app.test", "server_names": ["app.test"], "certificate": "/c", "certificate_key": "/k"},
        "route": {"path": "/", "upstream": "front"},
        "addresses": {},
        "headers": {},
    }
    route = {**base["route"], **case.get("route", {})}
    site = {**base["site"], "routes": [route, *case.get("more_routes", [])], **case.get("site", {})}
    return {**base, **case, "sites": [site, *case.get("more_sites", [])]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_refusals(case: dict[str, t.Any]) -> None:
    values = given(case)
    said = nginx_refusals.problems(values["sites"], values["upstreams"], values["addresses"], values["headers"])
    assert said == case["says"]


@pytest.mark.parametrize(
    ("defaults", "place"),
    [
        (nginx_sites.UPSTREAM, ["nginx_upstreams"]),
        (nginx_sites.SITE, ["nginx_sites"]),
        (nginx_sites.ROUTE, ["nginx_sites", "routes"]),
    ],
    ids=["upstream", "site", "route"],
)
def test_the_argument_spec_says_the_same(defaults: dict[str, t.Any], place: list[str]) -> None:
    options = load_mapping(ROOT / "roles/nginx/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    for name in place[:-1]:
        options = options[name]["options"]
    declared = options[place[-1]]["options"]
    assert {name: option["default"] for name, option in declared.items() if "default" in option} == defaults


def test_a_key_without_a_value_means_its_default_and_no_is_no() -> None:
    (site,) = nginx_sites.complete_sites([{"name": "a", "hsts_max_age": None, "https": "no", "routes": []}])
    assert (site["hsts_max_age"], site["https"]) == (300, False)


def test_one_allow_list_is_made_once() -> None:
    routes = [{"path": f"/{name}", "upstream": "x", "allow": ["192.0.2.1"]} for name in "abc"]
    routes.append({"path": "/d", "upstream": "x", "allow": ["192.0.2.2"]})
    model = nginx_sites.model([{"name": "app.test", "server_names": ["app.test"], "routes": routes}], [])
    assert [source["addresses"] for source in model["sources"]] == [["192.0.2.1"], ["192.0.2.2"]]


@pytest.mark.parametrize(
    ("route", "matches"),
    [
        ({"path": "/"}, ["/"]),
        ({"path": "/", "strip_prefix": True}, ["/"]),
        ({"path": "/api"}, ["= /api", "/api/"]),
        ({"path": "/api/", "websocket": True}, ["= /api", "/api/", "@websocket1"]),
        ({"path": "/api", "strip_prefix": True, "websocket": True}, ["/api/", "@websocket1"]),
    ],
)
def test_what_guards_a_route_guards_each_of_its_locations(route: dict[str, t.Any], matches: list[str]) -> None:
    guards = {"allow": ["192.0.2.1"], "rate_limit": "1r/s", "max_body_size": "1k"}
    site = {"name": "app.test", "server_names": ["app.test"], "routes": [{**guards, "upstream": "x", **route}]}
    upstreams = [{"name": "x", "servers": ["127.0.0.1:1"], "maintenance": True}]
    _server, apps = nginx_sites.model([site], upstreams)["files"]
    locations = apps["vars"]["locations"]
    assert [location["match"] for location in locations] == matches
    for key in ("refused", "zone", "maintenance", "max_body_size", "stripped"):
        assert len({location[key] for location in locations}) == 1
        assert locations[0][key] or key == "stripped"
