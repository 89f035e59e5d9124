"""Two slots: what comes in beside what serves never touches it, and can be taken back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._release_slots import Slots

OLD, NEW = "0001-aaaaaaaaaaaa", "0002-bbbbbbbbbbbb"
OWN = (os.getuid(), os.getgid())


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    """An app that serves its old release from slot a, and whose wanted environment has changed since."""
    for release in (OLD, NEW):
        (tmp_path / "releases" / release).mkdir(parents=True)
    wanted = tmp_path / "wanted.env"
    wanted.write_text("GREETING=old\n", encoding="utf-8")
    made = Slots(str(tmp_path), str(wanted))
    made.occupy("a", OLD, *OWN)
    made.switch("a")
    wanted.write_text("GREETING=new\n", encoding="utf-8")
    return made


def text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def test_a_changed_environment_is_seen(slots: Slots) -> None:
    assert not slots.is_up_to_date("a")
    slots.occupy("b", OLD, *OWN)
    assert slots.is_up_to_date("b")
    assert text(slots.environment("a")) == "GREETING=old\n"


def test_nobody_else_reads_an_environment(slots: Slots) -> None:
    assert os.stat(slots.environment("a")).st_mode & 0o777 == 0o600


def test_what_serves_changes_with_the_switch_and_not_before(slots: Slots) -> None:
    slots.occupy("b", NEW, *OWN)
    assert (slots.live(), slots.release("a"), slots.release("b")) == ("a", OLD, NEW)
    slots.switch("b")
    assert (slots.live(), slots.idle()) == ("b", "a")
    assert os.path.realpath(slots.link).endswith(NEW)


def test_what_came_in_beside_is_taken_back(slots: Slots) -> None:
    slots.occupy("b", NEW, *OWN)
    slots.take_back("b", OLD, *OWN)
    assert (slots.live(), slots.release("a"), slots.release("b")) == ("a", OLD, None)
    assert not os.path.exists(slots.environment("b"))
    assert text(slots.env_file) == "GREETING=old\n", "what serves and is started again reads what it had"


def test_what_came_in_its_place_is_taken_back(slots: Slots) -> None:
    """Twice over: the second try must not take the first one's environment for that of what served."""
    for _attempt in range(2):
        slots.occupy("a", NEW, *OWN)
    assert slots.release("a") == NEW
    slots.take_back("a", OLD, *OWN)
    assert slots.release("a") == OLD
    assert text(slots.environment("a")) == "GREETING=old\n"
    assert text(slots.env_file) == "GREETING=old\n"


def test_the_slot_that_serves_cannot_be_emptied(slots: Slots) -> None:
    with pytest.raises(ValueError, match=r"slot a of .* serves"):
        slots.vacate("a")
    assert slots.release("a") == OLD


def test_nothing_was_ever_deployed(tmp_path: Path) -> None:
    empty = Slots(str(tmp_path), "")
    assert (empty.live(), empty.idle(), empty.held()) == (None, "a", set())
