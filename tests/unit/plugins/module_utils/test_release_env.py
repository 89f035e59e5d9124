"""What an example asks for and an environment has, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.module_utils._release_env import compare

CASES = yaml.safe_load(Path(__file__).with_name("release_env_cases.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_compare(case: dict[str, Any]) -> None:
    found = compare(case["example"], case["environment"], case.get("elsewhere", []))
    assert found == (case.get("missing", []), case.get("extra", []))
