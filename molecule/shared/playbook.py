"""Runs a further playbook from within a scenario's tests.

Import it as ansible_collections.minato.fleet.molecule.shared.playbook.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

# One line for each message, so that a test can look for a sentence.
PLAIN = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}


def ansible_playbook(playbook: Path, inventory: str = "") -> list[str]:
    """The command that runs a playbook on the scenario's hosts, or on those of another inventory."""
    return ["ansible-playbook", "--inventory", inventory or os.environ["MOLECULE_INVENTORY_FILE"], str(playbook)]


def run_playbook(
    playbook: Path, *arguments: str, inventory: str = "", **variables: Any
) -> subprocess.CompletedProcess[str]:
    """Run a playbook with further arguments and variables, and say how it went; its stdout holds stderr too.

    Nothing is raised where it fails: the caller judges it.
    """
    done = subprocess.run(
        [*ansible_playbook(playbook, inventory), *arguments, "--extra-vars", json.dumps(variables)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **PLAIN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    done.stdout = done.stdout.replace('\\"', '"')
    return done
