"""The rules of the house, held against this tree."""

from __future__ import annotations

import pytest
from ansible_collections.minato.fleet.tests.lint import layers, shape, sizes, specs, words, work
from ansible_collections.minato.fleet.tests.lint.house import ROOT, Rule

RULES: list[Rule] = [rule for family in (layers, specs, sizes, shape, work, words) for rule in family.RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps(rule: Rule) -> None:
    findings = [str(finding._replace(path=finding.path.relative_to(ROOT))) for finding in rule(ROOT)]
    if findings:
        pytest.fail("\n".join([f"{rule.__doc__}", *findings]), pytrace=False)
