"""The contract's table: each breach, and the whole of what is said about it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.plugin_utils import contract

HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE / "contract_cases.yml").read_text(encoding="utf-8"))


def fleet_of(case: dict[str, t.Any]) -> dict[str, t.Any]:
    """The fleet of fleet.yml with the case's change."""
    fleet: dict[str, t.Any] = yaml.safe_load((HERE / "fleet.yml").read_text(encoding="utf-8"))
    for path, value in case.get("set", {}).items():
        parent, key = place(fleet, path)
        parent[int(key) if isinstance(parent, list) else key] = value
    for path in case.get("unset", []):
        parent, key = place(fleet, path)
        del parent[key]
    return fleet


def place(fleet: t.Any, path: str) -> tuple[t.Any, t.Any]:
    *steps, last = path.split(".")
    for step in steps:
        fleet = fleet[int(step)] if isinstance(fleet, list) else fleet[step]
    return fleet, last


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_contract(case: dict[str, t.Any]) -> None:
    fleet = fleet_of(case)
    said = contract.problems(fleet["fleet_apps"], fleet["hosts"], fleet["secrets"], fleet["databases"], "600M")
    assert said == case["says"]


def test_no_secret_is_told() -> None:
    fleet = fleet_of({"set": {"hosts.box-1.fleet_app_names": ["medical-apx"], "fleet_apps.1.port": 3000}})
    said = contract.problems(fleet["fleet_apps"], fleet["hosts"], fleet["secrets"], fleet["databases"], "4G")
    assert said
    assert not any(value in sentence for sentence in said for value in fleet["secrets"]["medical-api"].values())


def test_plan() -> None:
    fleet = fleet_of({"set": {"hosts.box-1.fleet_memory_mb": 2048, "fleet_apps.1.switch": "restart"}})
    assert contract.plan(fleet["fleet_apps"], fleet["hosts"], fleet["databases"], "600M") == [
        "box-1 (node, web; 2048 MB)",
        "  medical-api 600M, twice       1200 MB",
        "  voicedrive-api 2 x 450M        900 MB",
        "  base 600M                      600 MB",
        "  sum                           2700 MB   652 MB too many",
        "  while medical-api is built    3724 MB   372 MB left, with swap",
        "medical-db (database; 79 connections)",
        "  medical-api 10, twice           20",
        "  reserve                         10",
        "  sum                             30   49 connections left",
        "twice: another release is started beside the one that serves (switch: beside)",
    ]


def test_a_plan_in_which_nothing_is_there_twice() -> None:
    fleet = fleet_of({"set": {"fleet_apps.0.switch": "restart", "fleet_apps.1.switch": "restart"}})
    rows = contract.plan(fleet["fleet_apps"], fleet["hosts"], fleet["databases"], "600M")
    assert rows
    assert not any("twice" in row for row in rows)


def test_no_plan_of_a_catalog_that_breaks_its_schema() -> None:
    fleet = fleet_of({"set": {"fleet_apps.0.memory_max": "much"}})
    assert contract.plan(fleet["fleet_apps"], fleet["hosts"], fleet["databases"], "600M") == []
