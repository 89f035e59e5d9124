"""Which release is gone back to, and when it is refused; the cases are data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.module_utils._release_rollback import (
    Past,
    RollbackError,
    check_migrations,
    choose,
)
from ansible_collections.minato.fleet.plugins.module_utils._releases import Found

DATA: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("release_rollback_cases.yml").read_text(encoding="utf-8")
)


def named(cases: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case["case"] for case in cases])


def release_id(serial: int) -> str:
    return f"{serial:04d}-{'a' * 12}"


def past(text: str, app_migrates: bool) -> Past:
    """``2 ready 10:00 commit=b migrates has=a,b safe=b``; ``gone``: no directory; ``old``: of before these keys."""
    serial, state, time, *rest = text.split()
    known = dict(word.split("=") for word in rest if "=" in word)
    manifest: dict[str, Any] = {
        "version": f"v{serial}",
        "activated_at": None if time == "-" else f"2026-11-20T{time}:00Z",
    }
    if "old" not in rest:
        manifest.update(
            migrates="migrates" in rest,
            migrations=[name for name in known.get("has", "").split(",") if name],
            rollback_safe=[name for name in known.get("safe", "").split(",") if name],
        )
    if state == "bad":
        manifest["reason"] = "it did not answer.\nIts last lines:"
    found = Found(
        release_id(int(serial)),
        "" if state == "unreadable" else state,
        known.get("commit", "a") * 40,
        "gone" not in rest,
    )
    return Past.of(found, manifest, app_migrates)


def host(case: dict[str, Any]) -> tuple[list[Past], str | None]:
    """The releases of a case, and the id of that which serves: the last, where it does not say."""
    releases = [past(text, case.get("app_migrates", False)) for text in case["releases"]]
    serves = case.get("current", len(releases))
    return releases, release_id(serves) if serves else None


@named(DATA["choices"])
def test_which_release_is_gone_back_to(case: dict[str, Any]) -> None:
    releases, current = host(case)
    if "says" in case:
        with pytest.raises(RollbackError) as refused:
            choose(releases, current, case["wanted"])
        assert str(refused.value) == case["says"]
    else:
        assert choose(releases, current, case["wanted"]) == release_id(case["goes_to"])


@named(DATA["migrations"])
def test_what_has_been_done_to_the_data(case: dict[str, Any]) -> None:
    releases, current = host(case)
    if "says" in case:
        with pytest.raises(RollbackError) as refused:
            check_migrations(releases, current, release_id(case["goes_to"]))
        assert str(refused.value) == case["says"]
    else:
        check_migrations(releases, current, release_id(case["goes_to"]))
