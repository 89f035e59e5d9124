"""Which hooks an app has, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._release_hooks import POINTS, Hook, find, mistakes, variables

EVERY = "before_fetch, before_build, after_build, before_migrate, before_start, before_switch, after_switch, on_failure"


def test_a_hook_has_a_minute_unless_it_says_otherwise() -> None:
    hooks = {"before_start": {"command": "make warm"}, "after_switch": {"command": "make tell", "timeout": 5}}
    assert mistakes(hooks) == []
    assert find(hooks, "before_start") == Hook("make warm", 60)
    assert find(hooks, "after_switch") == Hook("make tell", 5)
    assert find(hooks, "on_failure") is None


def test_there_are_eight_points() -> None:
    assert ", ".join(POINTS) == EVERY
    assert mistakes({point: {"command": "true"} for point in POINTS}) == []


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ({"before_build_": {"command": "x"}}, "there is no point before_build_: did you mean before_build?"),
        ({"zzz": {"command": "x"}}, f"there is no point zzz: write one of {EVERY}"),
        ({1: {"command": "x"}}, f"there is no point 1: write one of {EVERY}"),
        ({"after_build": "make"}, "after_build must be a mapping: write after_build: {command: …}"),
        ({"after_build": {}}, "after_build needs a command"),
        ({"after_build": {"command": " "}}, "after_build needs a command"),
        ({"after_build": {"command": ["make"]}}, "after_build needs a command"),
        (
            {"after_build": {"command": "x", "timout": 5}},
            "after_build has an unknown key, timout: did you mean timeout?",
        ),
        (
            {"after_build": {"command": "x", "timeout": "5"}},
            "after_build has a timeout that is no number of seconds: write 1 or more",
        ),
        (
            {"after_build": {"command": "x", "timeout": 0}},
            "after_build has a timeout that is no number of seconds: write 1 or more",
        ),
        (
            {"after_build": {"command": "x", "timeout": True}},
            "after_build has a timeout that is no number of seconds: write 1 or more",
        ),
    ],
)
def test_what_is_wrong_with_a_hook_is_a_sentence(hooks: Any, message: str) -> None:
    assert mistakes(hooks) == ["hooks: " + message]


def test_a_hook_is_told_where_it_stands() -> None:
    assert variables("medical-api", "0007-3f2a9c01b7de", "3f" * 20, "before_start") == {
        "FLEET_APP": "medical-api",
        "FLEET_RELEASE": "0007-3f2a9c01b7de",
        "FLEET_COMMIT": "3f" * 20,
        "FLEET_POINT": "before_start",
    }
