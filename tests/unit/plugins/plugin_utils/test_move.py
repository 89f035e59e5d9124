"""The plan of a move: what it takes, and what stands in its way."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.filter.fleet import FilterModule

MOVE = FilterModule().filters()["move"]
HOSTS: dict[str, dict[str, t.Any]] = {
    "box-1": {"fleet_app_names": ["medical-api", "voicedrive-api", "morizo-aiv2"]},
    "box-2": {"private_ip_address": "10.0.0.2"},
}


@pytest.fixture
def apps() -> list[dict[str, t.Any]]:
    fleet = yaml.safe_load((Path(__file__).parent / "fleet.yml").read_text(encoding="utf-8"))
    return t.cast("list[dict[str, t.Any]]", fleet["fleet_apps"])


def test_move(apps: list[dict[str, t.Any]]) -> None:
    apps[1]["redis"] = True
    stay = ["medical-api", "morizo-aiv2"]
    assert MOVE(apps, "voicedrive-api", "box-2", HOSTS) == {
        "problems": [],
        "leaves": "box-1",
        "types": ["type_node", "type_web", "type_redis"],
        "variables": {
            "box-1": {
                "fleet_app_names": stay,
                "fleet_forwards": {"voicedrive-api": "box-2"},
                "fleet_leaving_app_names": ["voicedrive-api"],
            },
            "box-2": {"fleet_app_names": ["voicedrive-api"], "fleet_forwards": {}, "fleet_leaving_app_names": []},
        },
        "probe": {
            "name": "api.medical.test",
            "path": "/api/social/health",
            "status": "200",
            "address": "10.0.0.2",
        },
        "says": [
            'box-1: fleet_app_names: ["medical-api", "morizo-aiv2"]',
            'box-1: fleet_forwards: {"voicedrive-api": "box-2"}',
            'box-2: fleet_app_names: ["voicedrive-api"]',
            "box-2: in the groups type_node, type_web, type_redis",
        ],
    }


def test_health_that_cannot_be_asked_from_outside(apps: list[dict[str, t.Any]]) -> None:
    apps[1]["routes"][0]["strip_prefix"] = False
    probe = MOVE(apps, "voicedrive-api", "box-2", HOSTS)["probe"]
    assert (probe["path"], probe["status"]) == ("/api/social/", "(?!404|421)[1-4]")


IN_THE_WAY = [
    (
        "voicedrive-apy",
        "box-2",
        HOSTS,
        "app: voicedrive-apy is not an app of the catalog. Write voicedrive-api instead.",
    ),
    ("voicedrive-api", "box-3", HOSTS, "to: box-3 is no host of the inventory. Write box-2."),
    ("voicedrive-api", "box-1", HOSTS, "to: voicedrive-api is one of the apps of box-1 already. Name another host."),
    ("voicedrive-api", "box-2", {"box-2": {}}, "runs on no host, and only an app of one host can be moved."),
    ("morizo-aiv2", "box-2", HOSTS, "app: morizo-aiv2 keeps data on its host (recipe_vector_db_main)"),
    ("medical-api", "box-2", HOSTS, "app: medical-api has secrets that its host made (SESSION_SECRET)"),
    (
        "morizo-web",
        "box-2",
        {"box-1": {"fleet_app_names": ["morizo-web"]}, "box-2": {}},
        "has no routes that a web server",
    ),
]


@pytest.mark.parametrize(("name", "to", "hosts", "says"), IN_THE_WAY)
def test_what_stands_in_its_way(apps: list[dict[str, t.Any]], name: str, to: str, hosts: t.Any, says: str) -> None:
    found = MOVE(apps, name, to, hosts)
    assert list(found) == ["problems"]
    (said,) = found["problems"]
    assert says in said


def test_a_broken_catalog(apps: list[dict[str, t.Any]]) -> None:
    del apps[0]["port"]
    (said,) = MOVE(apps, "voicedrive-api", "box-2", HOSTS)["problems"]
    assert "medical-api" in said
    assert "port" in said
