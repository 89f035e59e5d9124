"""Runs a further playbook from within a scenario's tests.

Import it as ansible_collections.minato.fleet.molecule.shared.playbook.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_playbook(playbook: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook on the scenario's hosts and return how it went, its output included; the caller judges it."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        ["ansible-playbook", "--inventory", inventory, str(playbook), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
