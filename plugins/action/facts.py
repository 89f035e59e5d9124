# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the few facts that the roles use, from the three places where the host has them."""

from __future__ import annotations

import contextlib
import importlib
import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Each task is a fork of the process that reads this file. What is loaded here none of the later ones loads again, and
# that is most of what a task without a module costs.
for _each in (
    "jsonschema",
    "ansible.plugins.filter.core",
    "ansible_collections.minato.fleet.plugins.filter.fleet",
):
    with contextlib.suppress(ImportError):
        importlib.import_module(_each)

QUERY = (
    "cat /etc/os-release; echo MACHINE=$(uname -m); echo NODENAME=$(uname -n);"
    " echo MEMORY=$(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
)
NAMES = {"debian": "Debian", "ubuntu": "Ubuntu"}


def facts(answer: str) -> dict[str, Any]:
    """The facts, named as setup names them. Raises ValueError for a system that is neither Debian nor Ubuntu."""
    lines = (line.split("=", 1) for line in answer.splitlines() if "=" in line)
    found = {key: " ".join(shlex.split(value)) for key, value in lines}
    system = found.get("ID", "")
    if system not in NAMES or "VERSION_CODENAME" not in found:
        raise ValueError(found.get("PRETTY_NAME") or "an unknown system")
    return {
        "architecture": found["MACHINE"],
        "distribution": NAMES[system],
        "distribution_major_version": found["VERSION_ID"].split(".")[0],
        "distribution_release": found["VERSION_CODENAME"],
        "distribution_version": found["VERSION_ID"],
        "memtotal_mb": int(found["MEMORY"].split()[0]) // 1024,
        "nodename": found["NODENAME"],
    }


class ActionModule(ActionBase):
    """One command, no module."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Set the facts, or refuse the host."""
        super().run(tmp, task_vars)
        self.validate_argument_spec({})
        done = self._low_level_execute_command(QUERY)
        if done["rc"]:
            said = str(done["stderr"] or done["stdout"]).strip()
            raise AnsibleActionFail(f"the host runs no command for us (exit code {done['rc']}): {said}")
        try:
            return {"changed": False, "ansible_facts": facts(str(done["stdout"]))}
        except ValueError as error:
            raise AnsibleActionFail(f"the host runs {error}: hosts of a fleet run Debian or Ubuntu") from None
