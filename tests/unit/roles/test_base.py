"""What the role base works out before it touches a host: what it refuses, and how much swap a box gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from ansible_collections.minato.fleet.tests.lint.house import ROOT, Role

LOADER = DataLoader()
ROLE = Role(ROOT / "roles/base")
CASES = LOADER.load_from_file(str(Path(__file__).parent / "base_cases.yml"))


@pytest.fixture(scope="session", autouse=True)
def _collections() -> None:
    init_plugin_loader([str(ROOT / ".ansible/collections")])


def worked_out(expression: str, **given: Any) -> Any:
    """What the role's own variables make of some input."""
    variables: dict[str, Any] = {"ansible_facts": {"distribution": "Debian", "memtotal_mb": 960, "nodename": "box"}}
    for path in (ROLE.defaults_path, *ROLE.vars_files()):
        variables.update(LOADER.load_from_file(str(path), trusted_as_template=True))
    return Templar(loader=LOADER, variables={**variables, **given}).evaluate_expression(trust_as_template(expression))


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: str(case["says"]))
def test_it_is_refused_with_one_sentence(case: dict[str, Any]) -> None:
    (sentence,) = worked_out("__base_problems", **case["given"])
    assert case["says"] in sentence


@pytest.mark.parametrize("given", CASES["accepted"], ids=str)
def test_it_is_accepted(given: dict[str, Any]) -> None:
    assert worked_out("__base_problems", **given) == []


@pytest.mark.parametrize(("memory", "size"), CASES["swap"])
def test_swap_is_sized_to_the_box(memory: int, size: str) -> None:
    facts = {"distribution": "Debian", "memtotal_mb": memory, "nodename": "box"}
    assert worked_out("__base_swap_size", ansible_facts=facts) == size
