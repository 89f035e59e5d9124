"""Memory of processes that end soon: what is seen of them while they live."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils import _memory_watch
from ansible_collections.minato.fleet.plugins.module_utils._memory_watch import MemoryWatch, cgroup


@pytest.mark.parametrize(
    ("unit", "slice_name", "path"),
    [
        ("web.service", "system.slice", "system.slice/web.service"),
        ("ai@1.service", "system-ai.slice", "system.slice/system-ai.slice/ai@1.service"),
        ("init.scope", "-.slice", "init.scope"),
    ],
)
def test_the_control_group_of_a_unit(unit: str, slice_name: str, path: str) -> None:
    assert cgroup(unit, slice_name) == path


def test_the_biggest_process_of_each_unit_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory_watch, "_CGROUPS", (str(tmp_path / "absent"), str(tmp_path)))
    group = tmp_path / "system.slice" / "web.service"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text(f"{os.getpid()}\n1\n")
    peaks = {"web.service": 1, "down.service": 7}
    with MemoryWatch({"web.service": "system.slice", "down.service": "system.slice"}, peaks):
        deadline = time.monotonic() + 60
        while peaks["web.service"] == 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert peaks["web.service"] > 1 << 20
    assert peaks["down.service"] == 7
