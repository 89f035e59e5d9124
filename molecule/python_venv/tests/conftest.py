"""What the tests of both hosts share."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

OWN = {"bookworm": "3.11", "trixie": "3.13"}
Build = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def own(host: Any) -> str:
    """The version of the distribution."""
    return OWN[host.system_info.codename]


@pytest.fixture
def build(host: Any, play_role: Any, own: str) -> Build:
    """Run the role for one virtual environment of the host's own version: ``build({"requirements": [...]})``."""
    name = str(host.backend.hostname)

    def run(venv: dict[str, Any], *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        venvs = [{"path": "/opt/tools/venv", "python": own, **venv}]
        # What every host has is there already, unless the test wants another.
        entry = "main" if more else "venvs"
        done: subprocess.CompletedProcess[str] = play_role(
            "python_venv", {"python_venv_venvs": venvs, **more}, *arguments, hosts=name, tasks_from=entry
        )
        return done

    return run


def changed(done: subprocess.CompletedProcess[str]) -> int:
    """How many tasks changed something; the run went well."""
    assert done.returncode == 0, done.stdout
    found = re.search(r"changed=(\d+)", done.stdout)
    assert found, done.stdout
    return int(found[1])
