"""What systemctl answers, and what is taken for not up."""

from __future__ import annotations

import pytest
from ansible_collections.minato.fleet.plugins.action.services import not_up

UP = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"


@pytest.mark.parametrize(
    ("answer", "down"),
    [
        (f"{UP}\n{UP}", []),
        (f"UnitFileState=enabled\nActiveState=active\nLoadState=loaded\n\n{UP}", []),
        (f"{UP}\n{UP.replace('=active', '=failed')}", ["b.timer"]),
        (f"{UP.replace('=enabled', '=disabled')}\n{UP}", ["a.service"]),
        (f"{UP}\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n", ["b.timer"]),
        (f"{UP}\n{UP.replace('=loaded', '=masked')}", ["b.timer"]),
        ("", ["a.service", "b.timer"]),
    ],
    ids=["up", "in another order", "failed", "not at boot", "not there", "masked", "no answer"],
)
def test_not_up(answer: str, down: list[str]) -> None:
    assert not_up(["a.service", "b.timer"], answer) == down
