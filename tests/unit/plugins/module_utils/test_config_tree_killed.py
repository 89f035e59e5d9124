# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run killed before each of its steps in turn: what is live stays usable, and the next run puts it right.

The real code runs in a process of its own, which is killed with SIGKILL; nothing in the code knows of the tests.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.module_utils import _config_tree_check as check
from ansible_collections.minato.fleet.tests.unit.plugins.module_utils.config_tree_support import (
    Place,
    killed_at,
    service,
)

OLD: Mapping[str, Any] = {
    "files": {"main.conf": "old\n", "gone/site.conf": "old site\n", "kept.conf": "same\n"},
    "links": {"enabled": "main.conf"},
}
NEW: Mapping[str, Any] = {
    "files": {"main.conf": "new\n", "more/site.conf": "new site\n", "kept.conf": {"content": "same\n", "mode": "0600"}},
    "links": {"enabled": "more/site.conf"},
    "absent": ["default"],
}
REJECTED: Mapping[str, Any] = {**NEW, "files": {**NEW["files"], "main.conf": "bad\n"}}
CHECKED: Mapping[str, Any] = {**NEW, "validate": ["true"]}
CHECKED_REJECTED: Mapping[str, Any] = {**NEW, "validate": ["false"]}


def prepared(base: Path, whole: bool) -> Place:
    place = Place(base, whole)
    (place.live / "unmanaged").write_text("ours\n")
    (place.live / "default").write_text("the distribution's\n")
    place.run(**OLD)
    return place


@pytest.mark.parametrize("whole", [True, False], ids=["directory", "files"])
@pytest.mark.parametrize(
    ("cut", "refused", "then"),
    [
        pytest.param(NEW, False, NEW, id="accepted, then the same set"),
        pytest.param(NEW, False, OLD, id="accepted, then the set before"),
        pytest.param(REJECTED, False, OLD, id="refused by the reload, then the set before"),
        pytest.param(CHECKED, True, NEW, id="no mount namespace, then the same set"),
        pytest.param(CHECKED_REJECTED, True, OLD, id="no mount namespace and invalid, then the set before"),
    ],
)
def test_a_killed_run_serves_on_and_the_next_run_repairs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: bool,
    cut: Mapping[str, Any],
    refused: bool,
    then: Mapping[str, Any],
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # a killed process loses nothing that was written
    monkeypatch.setattr(subprocess, "call", service)
    if refused:
        monkeypatch.setattr(check, "validate", lambda *_args: check.Verdict(refused="not permitted"))
    model = prepared(tmp_path / "model", whole)
    old = model.snapshot()
    model.run(**NEW)
    new = model.snapshot()
    rejected = {**new, "main.conf": ("file", 0o644, "bad\n")}
    expected = new if then is NEW else {name: node for name, node in old.items() if name != "default"}
    phases: list[str] = []
    for step in itertools.count(1):
        place = prepared(tmp_path / str(step), whole)
        if not killed_at(step, functools.partial(place.run, **cut)):
            break
        phases.append(phase(place))
        for name, node in place.snapshot().items():
            assert node in (old.get(name), new.get(name), rejected.get(name)) or name.endswith(".minato~"), name
        for name in old.keys() & new.keys():
            assert (place.live / name).exists(), f"{name} is gone, though the old and the new set have it"
        committed = phases[-1] == "swapped" or (phases[-1] == "swapping" and whole)
        rejected_is_live = committed and (place.live / "main.conf").read_text() == "bad\n"
        result = place.run(**{**then, "absent": ["default"]})
        assert result["recovered"] == (phases[-1] in ("swapping", "swapped", "undoing"))
        assert any("failed to reload and was undone" in said for said in place.warnings) == rejected_is_live
        assert place.snapshot() == expected
        assert place.is_loaded()
        assert place.leftovers() == []
        assert not place.run(**{**then, "absent": ["default"]})["changed"]
    assert len(phases) > 20, "hardly a step was counted: the test kills nothing"
    assert {"none", "swapping", "swapped"} <= set(phases) or cut is CHECKED_REJECTED
    assert "undoing" in phases or cut not in (REJECTED, CHECKED_REJECTED)


def phase(place: Place) -> str:
    """Return how far the journal says a killed run came."""
    journal = place.root / "service" / "journal.json"
    return str(json.loads(journal.read_text())["phase"]) if journal.exists() else "none"
