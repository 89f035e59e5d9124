"""One run at a time, and a lock that nobody holds any more stops nobody."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._release_lock import GRACE, Lock, LockedError

TIMEOUT = 60


@pytest.fixture
def locks(tmp_path: Path) -> tuple[Lock, Lock]:
    """Two runs, the first of which holds the lock."""
    first, second = (Lock(str(tmp_path / ".lock"), name) for name in ("ono@desk, process 1", "abe@ci, process 2"))
    first.take("begin", TIMEOUT)
    return first, second


def test_the_second_is_told_who_is_at_what(locks: tuple[Lock, Lock]) -> None:
    first, second = locks
    first.note("build")
    with pytest.raises(LockedError) as told:
        second.take("begin", TIMEOUT)
    assert told.value.holder == first.holder
    assert "another run is deploying it: ono@desk, process 1, at step build for 0 s." in str(told.value)
    assert f"remove {first.path}" in str(told.value)


def test_who_has_none_changes_nothing(locks: tuple[Lock, Lock]) -> None:
    first, second = locks
    second.note("build")
    second.give_back()
    assert first.read()["holder"] == first.holder
    assert first.read()["step"] == "begin"


def test_given_back_it_is_free(locks: tuple[Lock, Lock], tmp_path: Path) -> None:
    first, second = locks
    first.take("begin", TIMEOUT)
    first.give_back()
    second.take("begin", TIMEOUT)
    assert second.read()["holder"] == second.holder
    assert os.listdir(tmp_path) == [".lock"]


def test_the_lock_of_a_run_that_is_over_is_taken(locks: tuple[Lock, Lock]) -> None:
    first, second = locks
    second.take("begin", TIMEOUT, over=first.holder)
    assert second.read()["holder"] == second.holder


@pytest.mark.parametrize(("age", "taken"), [(TIMEOUT + GRACE - 5, False), (TIMEOUT + GRACE + 5, True)])
def test_a_step_that_takes_longer_than_it_may_is_over(
    locks: tuple[Lock, Lock], monkeypatch: pytest.MonkeyPatch, age: int, taken: bool
) -> None:
    second = locks[1]
    later = time.time() + age
    monkeypatch.setattr(time, "time", lambda: later)
    if taken:
        second.take("begin", TIMEOUT)
    else:
        with pytest.raises(LockedError):
            second.take("begin", TIMEOUT)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_lock_that_cannot_be_read_holds(tmp_path: Path, text: str) -> None:
    (tmp_path / ".lock").write_text(text, encoding="utf-8")
    with pytest.raises(LockedError, match="an unknown run"):
        Lock(str(tmp_path / ".lock"), "me").take("begin", TIMEOUT)


def test_two_that_come_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (Lock(str(tmp_path / ".lock"), name) for name in ("first", "second"))
    monkeypatch.setattr(second, "read", dict)  # it looked before the first took it
    first.take("begin", TIMEOUT)
    with pytest.raises(LockedError, match="just now"):
        second.take("begin", TIMEOUT)
    assert first.read()["holder"] == "first"
