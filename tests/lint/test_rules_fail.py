"""Every rule can fail: broken.yml has, for each, a tree that breaks it and what the rule must say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.tests.lint.test_house import RULES

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("broken.yml").read_text(encoding="utf-8"))
BY_NAME = {getattr(rule, "__name__", ""): rule for rule in RULES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['rule']}-{case['breaks']}")
def test_the_rule_finds(case: dict[str, Any], tmp_path: Path) -> None:
    for name, content in case["files"].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The bar keeps the broken words out of this tree's own files.
        path.write_text((content * case.get("times", 1)).replace("¦", ""), encoding="utf-8")
    found = [str(finding).removeprefix(f"{tmp_path}/") for finding in BY_NAME[case["rule"]](tmp_path)]
    assert len(found) == len(case["finds"]), found
    for finding, expected in zip(found, case["finds"], strict=True):
        assert finding.startswith(expected.split(" ... ")[0])
        assert expected.split(" ... ")[-1] in finding


def test_every_rule_has_a_broken_tree() -> None:
    assert {case["rule"] for case in CASES} == set(BY_NAME)
