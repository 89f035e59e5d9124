"""What site.yml refuses, it refuses before the first change: the table is run through the real playbook."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CASES = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
CATALOG = ROOT / "inventories" / "example" / "group_vars" / "all" / "apps.yml"
APP = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))["fleet_apps"][0]


def catalog_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    app = copy.deepcopy(APP)
    app.update(case.get("set", {}))
    for key in case.get("unset", []):
        del app[key]
    bare = {key: value for key, value in app.items() if key not in ("database", "secrets")}
    return [app, {**bare, **case["also"]}] if "also" in case else [app]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_refused_before_the_first_change(case: dict[str, Any], play: Any) -> None:
    variables = {"fleet_apps": catalog_of(case), **case.get("vars", {})}
    run = play("site", "--extra-vars", json.dumps(variables))
    assert run.returncode != 0, run.stdout
    assert case["says"] in run.stdout
    assert "Nothing was changed." in run.stdout
    assert run.stdout.count("TASK [") == 2, "more was run than learning the hosts and holding the catalog against them"
    assert "changed=0" in run.stdout.split("PLAY RECAP")[1]
