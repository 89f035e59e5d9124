# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is taken from a lookup's answer, and what is said where a value is missing or given twice."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.action.env_files import (
    ValueMissingError,
    check_given_once,
    picked,
    store_diff,
)

FILE = "/opt/shop/.env"


def entry(*keys: str) -> dict[str, Any]:
    return {"plugin": "amazon.aws.ssm_parameter", "term": "/prod/shop", "keys": list(keys)}


@pytest.mark.parametrize(
    ("answer", "keys", "values"),
    [
        ([{"A": "1", "B": "2", "OTHER": "3"}], ["A", "B"], {"A": "1", "B": "2"}),
        (['{"A": "1", "PORT": 3000}'], ["A", "PORT"], {"A": "1", "PORT": 3000}),
        (["plain"], ["A"], {"A": "plain"}),
        (["3000"], ["A"], {"A": "3000"}),
        (["[1]"], ["A"], {"A": "[1]"}),
    ],
    ids=["mapping", "JSON object", "the value itself", "a number's digits", "JSON that is no object"],
)
def test_picked(answer: Any, keys: list[str], values: dict[str, Any]) -> None:
    assert picked(FILE, entry(*keys), answer) == values


@pytest.mark.parametrize(
    ("answer", "keys", "lack"),
    [
        ([{"A": "1"}], ["A", "B"], "no value for B: amazon.aws.ssm_parameter /prod/shop has no B"),
        ([{"A": "1", "B": " "}], ["A", "B"], "no value for B: amazon.aws.ssm_parameter /prod/shop has an empty B"),
        ([{"A": None}], ["A"], "no value for A: amazon.aws.ssm_parameter /prod/shop has an empty A"),
        ([""], ["A"], "no value for A: amazon.aws.ssm_parameter /prod/shop has an empty A"),
        ([None], ["A"], "no value for A: amazon.aws.ssm_parameter /prod/shop has no A"),
        ([], ["A"], "no value for A: amazon.aws.ssm_parameter /prod/shop has no A"),
        (["plain"], ["A", "B"], "no value for A: amazon.aws.ssm_parameter /prod/shop has no A"),
    ],
    ids=["absent", "blank", "null", "empty", "skipped", "no answer", "two keys of one value"],
)
def test_a_value_that_is_missing_is_named_with_file_and_source(answer: Any, keys: list[str], lack: str) -> None:
    with pytest.raises(ValueMissingError, match=f"^{re.escape(f'{FILE}: {lack}')}$"):
        picked(FILE, entry(*keys), answer)


@pytest.mark.parametrize(
    ("values", "lookups", "generate", "places"),
    [
        ({"A": "1"}, [entry("A")], [], "values and by amazon.aws.ssm_parameter"),
        ({"A": "1"}, [], ["A"], "values and by generate"),
        ({}, [entry("A")], ["A"], "amazon.aws.ssm_parameter and by generate"),
        ({}, [], ["A", "A"], "generate and by generate"),
    ],
)
def test_a_value_has_one_source(
    values: dict[str, str], lookups: list[dict[str, Any]], generate: list[str], places: str
) -> None:
    file = {"path": FILE, "values": {"B": "2", **values}, "lookups": lookups, "generate": generate}
    with pytest.raises(ValueMissingError, match=f"^{FILE}: A is given by {places}: keep one of them$"):
        check_given_once(file)


def test_the_diff_names_what_is_made_and_what_is_kept() -> None:
    (shown,) = store_diff({"made": [f"{FILE}: A"], "adopted": [f"{FILE}: B"]})
    assert shown["after"] == f"{FILE}: A (made)\n{FILE}: B (taken over from the file)\n"
    assert store_diff({"made": [], "adopted": []}) == []
