"""One run at a time, and a lock that nobody holds any more stops nobody."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._release_lock import GRACE, Lock, LockedError

TIMEOUT = 60
MOMENT = 1743465600.0  # 2025-04-01


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Lock, Lock]:
    """Two runs, the first of which has held the lock since MOMENT."""
    monkeypatch.setattr(time, "time", lambda: MOMENT)
    first, second = (Lock(str(tmp_path / ".lock"), name) for name in ("ono@desk, process 1", "abe@ci, process 2"))
    first.take("begin", TIMEOUT)
    return first, second


def test_the_second_is_told_who_is_at_what_since_when(
    locks: tuple[Lock, Lock], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = locks
    monkeypatch.setattr(time, "time", lambda: MOMENT + 600)
    first.note("build", TIMEOUT)
    monkeypatch.setattr(time, "time", lambda: MOMENT + 7380)
    first.note("hook", 3 * TIMEOUT)
    monkeypatch.setattr(time, "time", lambda: MOMENT + 7420)
    with pytest.raises(LockedError) as told:
        second.take("begin", TIMEOUT)
    assert told.value.holder == first.holder
    assert str(told.value) == (
        "another run is deploying it: ono@desk, process 1, since 2025-04-01 00:00:00 UTC (2 h 3 min), at step hook for"
        " 40 s. Wait until it is done. If it runs no more, the lock is stale at 2025-04-01 02:11:00 UTC, and the next"
        f" run takes it over; to take it over now, remove {first.path}"
    )


def test_who_has_none_changes_nothing(locks: tuple[Lock, Lock]) -> None:
    first, second = locks
    second.note("build", TIMEOUT)
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
    told = second.take("begin", TIMEOUT, over=first.holder)
    assert told == (
        "the lock of a run that was stopped is taken over: ono@desk, process 1, since 2025-04-01 00:00:00 UTC (0 s), at"
        " step begin for 0 s"
    )
    assert second.read()["holder"] == second.holder


@pytest.mark.parametrize(("age", "taken"), [(TIMEOUT + GRACE - 5, False), (TIMEOUT + GRACE + 5, True)])
def test_a_step_that_takes_longer_than_it_may_is_over(
    locks: tuple[Lock, Lock], monkeypatch: pytest.MonkeyPatch, age: int, taken: bool
) -> None:
    second = locks[1]
    monkeypatch.setattr(time, "time", lambda: MOMENT + age)
    if taken:
        assert second.take("begin", 9 * TIMEOUT) == (
            "a stale lock is taken over, whose step may take 6 min: ono@desk, process 1, since 2025-04-01 00:00:00 UTC"
            " (6 min), at step begin for 6 min"
        )
    else:
        with pytest.raises(LockedError):
            second.take("begin", TIMEOUT // 9)


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


def test_the_lock_of_an_older_version_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".lock").write_text('{"holder": "ono@desk, process 1", "step": "build", "since": 1743465600.0}')
    second = Lock(str(tmp_path / ".lock"), "abe@ci, process 2")
    monkeypatch.setattr(time, "time", lambda: MOMENT + TIMEOUT)
    with pytest.raises(LockedError, match=r"process 1, since 2025-04-01 00:00:00 UTC \(60 s\), at step build for 60 s"):
        second.take("begin", TIMEOUT)
    monkeypatch.setattr(time, "time", lambda: MOMENT + TIMEOUT + GRACE)
    assert "a stale lock is taken over" in second.take("begin", TIMEOUT)


def test_the_age_of_a_lock_is_that_of_its_run(locks: tuple[Lock, Lock], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = locks
    monkeypatch.setattr(time, "time", lambda: MOMENT + 30)
    first.note("build", TIMEOUT)
    assert (first.age(), second.age()) == (30, None)
    first.give_back()
    assert first.age() is None
