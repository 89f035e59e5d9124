# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Python's short way gives what Jinja gives, whatever is asked of whatever host."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.minato.fleet.plugins.plugin_utils import aws_constructed
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_expressions import UndefinedError, names_used
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import InventoryError
from ansible_collections.minato.fleet.tests.unit.plugins.plugin_utils.aws_support import (
    Constructed,
    expressions,
    options,
    room,
    trusted,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KEYS = st.sampled_from(["Name", "env", "items", "x y", "", "Ünïcode", "0"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from(["", "prod", "web node", "{{ 1 + 1 }}", "i-0", "[]"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)
HOSTS = st.fixed_dictionaries(
    {},
    optional={
        "tags": st.dictionaries(KEYS, SCALARS, max_size=4),
        "placement": VALUES,
        "security_groups": VALUES,
        "instance_type": SCALARS,
        "state": VALUES,
    },
)
NAMES = st.sampled_from(["tags", "placement", "security_groups", "instance_type", "state", "absent", "omit", "range"])
LITERALS = st.sampled_from(["'prod'", "''", "1", "0", "true", "none", "'env'", "[]", "1.5"])


def paths() -> st.SearchStrategy[str]:
    steps = st.sampled_from(
        [".Name", ".env", "['env']", "['x y']", "[0]", "[-1]", ".items", ".region", "['']", ".get('env')", "[1:]"]
    )
    return st.builds(lambda name, more: name + "".join(more), NAMES, st.lists(steps, max_size=3))


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["==", "!=", "in", "not in", "and", "or", "<", ">=", "~", "+"])
    filters = st.sampled_from(["default('d')", "default('', true)", "lower", "d(1)", "length", "replace('p', 'q')"])
    return st.one_of(
        st.builds(lambda left, how, right: f"({left} {how} {right})", inner, operators, inner),
        st.builds(lambda one: f"(not {one})", inner),
        st.builds(lambda one, which: f"{one} | {which}", inner, filters),
        st.builds(lambda one, which: f"({one} is {which})", inner, st.sampled_from(["defined", "undefined", "none"])),
        st.builds(lambda one, if_, other: f"({one} if {if_} else {other})", inner, inner, inner),
    )


EXPRESSIONS = st.recursive(st.one_of(paths(), LITERALS), larger, max_leaves=4)
FAILURES = (AnsibleError, UndefinedError, TypeError)


def result(do: t.Callable[[], t.Any]) -> tuple[str, t.Any]:
    """A value with its type, or that there is none."""
    try:
        value = do()
    except FAILURES:
        return ("fails", None)
    return (type(value).__name__.replace("_AnsibleTagged", "").lower(), value)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EXPRESSIONS, HOSTS)
def test_a_value_is_jinjas(expression: str, host: dict[str, t.Any]) -> None:
    jinja = Templar(DataLoader(), dict(host))
    expected = result(lambda: jinja.evaluate_expression(trusted(expression)))
    found = result(lambda: expressions().value(trusted(expression), host))
    assert found == expected


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EXPRESSIONS, HOSTS)
def test_a_condition_is_jinjas(expression: str, host: dict[str, t.Any]) -> None:
    jinja = Templar(DataLoader(), dict(host))
    expected = result(lambda: jinja.evaluate_conditional(trusted(expression)))
    assert result(lambda: expressions().condition(trusted(expression), host)) == expected


@pytest.mark.parametrize(
    "expression",
    [
        *("tags.Name", "tags['env']", "placement.region", "instance_type", "tags.env | default('none')"),
        *("tags.env == 'prod'", "'web' in tags.Name", "security_groups[0].group_id", "tags.a is defined"),
        *("vpc_id == 'vpc-1' and tags.env != 'prod'", "not tags.env"),
    ],
)
def test_what_people_write_needs_no_jinja(expression: str) -> None:
    host = {
        "tags": {"Name": "web", "env": "prod"},
        "placement": {"region": "eu-west-1"},
        "instance_type": "t3.small",
        "security_groups": [{"group_id": "sg-1"}],
        "vpc_id": "vpc-1",
    }
    ours = expressions()
    ours.value(expression, host)
    assert ours.slow == 0


def test_a_tag_is_never_a_template() -> None:
    host = {"tags": {"Name": "{{ 7 * 7 }}"}}
    ours = expressions()
    assert ours.value("tags.Name", host) == "{{ 7 * 7 }}"
    assert ours.value("tags.Name | lower", host) == "{{ 7 * 7 }}"
    assert ours.slow == 1


def test_names_used() -> None:
    assert names_used("tags.Name ~ region") == {"tags", "region"}
    assert names_used("vars['tags']") is None
    assert names_used("tags.Name }} {{ x") is None


KEYED = st.fixed_dictionaries(
    {"key": st.one_of(paths(), EXPRESSIONS)},
    optional={
        "prefix": st.sampled_from(["", "p", "a-b"]),
        "separator": st.sampled_from(["", "_", "-"]),
        "parent_group": st.sampled_from(["above", "{{ instance_type }}", "a b"]),
    },
)
ENDS = st.sampled_from([{}, {"default_value": "none"}, {"default_value": ""}, {"trailing_separator": False}])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(KEYED, ENDS, HOSTS, st.booleans(), st.booleans())
def test_keyed_groups_are_ansibles(
    entry: dict[str, t.Any], end: dict[str, t.Any], host: dict[str, t.Any], strict: bool, leading: bool
) -> None:
    entry = {**entry, **end}
    inventory = InventoryData()
    inventory.add_host("web")
    try:
        Constructed(inventory, leading).keyed([entry], host, "web", strict)
        expected: t.Any = {
            name: [child.name for child in group.child_groups] for name, group in inventory.groups.items()
        }
        for name in ("all", "ungrouped"):
            expected.pop(name)
    except Exception:  # Ansible's own are of many kinds
        expected = "fails"
    chosen = options(keyed_groups=[entry], strict=strict, leading_separator=leading)
    try:
        found: t.Any = {}
        groups, parents = aws_constructed.constructed(room(chosen), host, "web", [])
        for group in groups:
            found.setdefault(group, [])
        for parent, child in parents:
            found.setdefault(parent, [])
            if child not in found[parent]:
                found[parent].append(child)
    except (InventoryError, TypeError):
        found = "fails"
    if expected == "fails" or found == "fails":
        assert found == expected
    else:
        assert {name: sorted(children) for name, children in found.items()} == {
            name: sorted(children) for name, children in expected.items()
        }
