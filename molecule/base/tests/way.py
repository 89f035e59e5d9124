"""A way into the host by SSH, as a controller or a person has it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.minato.fleet.molecule.shared.playbook import PLAIN, ROOT, ansible_playbook

CONVERGE = Path(__file__).parents[1] / "converge.yml"
OPTIONS = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=3", "LogLevel=ERROR"]


def scenario(**more: Any) -> dict[str, Any]:
    """The scenario's own variables, with others on top."""
    (play,) = yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))
    (role,) = play["roles"]
    return {**role["vars"], **more}


def public_key(folder: Path, name: str) -> str:
    """Make a key, and return its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True)
    return (folder / f"{name}.pub").read_text(encoding="utf-8").strip()


class Way:
    """The operator dora, her key, and the host's address, which a restart may change."""

    def __init__(self, host: Any, folder: Path) -> None:
        """Make the key."""
        self.host, self.folder = host, folder
        self.dora = {"name": "dora", "keys": [public_key(folder, "dora")]}
        self.carol = {"name": "carol", "keys": [public_key(folder, "carol")]}

    def variables(self, dora: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """The scenario's, with dora let in, and with carol, who has not left yet."""
        alice, bob, _carol = scenario()["base_operators"]
        return scenario(base_operators=[alice, bob, self.carol, dora or self.dora], **more)

    def ssh(self, command: str, user: str = "dora", key: str = "dora") -> subprocess.CompletedProcess[str]:
        """Run a command over a connection of its own."""
        options = [part for option in (*OPTIONS, "BatchMode=yes", "IdentitiesOnly=yes") for part in ("-o", option)]
        address = str(self.host.check_output("hostname -I").split()[0])
        return subprocess.run(
            ["ssh", *options, "-i", str(self.folder / key), f"{user}@{address}", command],
            capture_output=True,
            text=True,
            check=False,
        )

    def lets_in(self) -> bool:
        """Whether the host lets dora in now."""
        return self.ssh("true").returncode == 0

    def start(self, variables: dict[str, Any], inventory: str = "") -> subprocess.Popen[str]:
        """Start a run of the role, by dora over SSH unless the inventory knows another way."""
        playbook = self.folder / "play.yml"
        role = {"role": "minato.fleet.base", "vars": variables}
        facts = {"name": "Know the host", "minato.fleet.facts": {}}
        playbook.write_text(
            json.dumps([{"hosts": "all", "gather_facts": False, "pre_tasks": [facts], "roles": [role]}])
        )
        return subprocess.Popen(
            ansible_playbook(playbook, inventory or self._inventory()),
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **PLAIN},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def play(self, variables: dict[str, Any], inventory: str = "") -> tuple[int, str]:
        """Run the role to its end; returns the exit code and the output."""
        run = self.start(variables, inventory)
        output, _nothing = run.communicate()
        return run.returncode, output

    def _inventory(self) -> str:
        address = str(self.host.check_output("hostname -I").split()[0])
        connection = {
            "ansible_user": "dora",
            "ansible_become": True,
            "ansible_ssh_private_key_file": str(self.folder / "dora"),
            "ansible_ssh_common_args": " ".join(f"-o {option}" for option in OPTIONS),
            "ansible_ssh_timeout": 3,
        }
        path = self.folder / "inventory.yml"
        path.write_text(yaml.safe_dump({"all": {"hosts": {address: connection}}}), encoding="utf-8")
        return str(path)
