"""What the tests of every scenario share."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook

Play = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def play_role(tmp_path: Path) -> Play:
    """Run a role once more, with other variables: ``play_role("nodejs", {"nodejs_versions": ["20"]}, hosts="npm")``.

    Further arguments go to ansible-playbook. Nothing is raised: the test looks at returncode and
    stdout, which holds stderr too.
    """

    def play(
        role: str, variables: dict[str, Any], *arguments: str, hosts: str = "all"
    ) -> subprocess.CompletedProcess[str]:
        roles = [{"role": f"minato.fleet.{role}", "vars": variables}]
        facts = [{"name": "Know the host", "minato.fleet.facts": {}}]
        plays = [{"hosts": hosts, "gather_facts": False, "pre_tasks": facts, "roles": roles}]
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps(plays), encoding="utf-8")
        return run_playbook(playbook, *arguments)

    return play
