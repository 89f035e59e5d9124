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
    stdout, which holds stderr too. ``tasks_from`` names another entry point than main.
    """

    def play(
        role: str, variables: dict[str, Any], *arguments: str, hosts: str = "all", tasks_from: str = "main"
    ) -> subprocess.CompletedProcess[str]:
        imported = {"name": f"minato.fleet.{role}", "tasks_from": tasks_from}
        tasks = [
            {"name": "Know the host", "minato.fleet.facts": {}},
            {"name": "Run the role", "ansible.builtin.import_role": imported, "vars": variables},
        ]
        plays = [{"hosts": hosts, "gather_facts": False, "tasks": tasks}]
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps(plays), encoding="utf-8")
        return run_playbook(playbook, *arguments)

    return play
