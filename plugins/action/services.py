# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask systemctl before asking the module: where every unit is up and enabled, which is nearly always, that is all."""

from __future__ import annotations

import re
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# One block of lines for each unit, in their order; a unit that is not there has one too.
QUERY = "systemctl show --property=LoadState,ActiveState,UnitFileState -- %s"
UP = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}


def not_up(names: list[str], answer: str) -> list[str]:
    """The units, of those asked for, that are not both active and enabled."""
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in answer.strip().split("\n\n")]
    if len(blocks) != len(names):
        return names
    return [name for name, state in zip(names, blocks, strict=True) if state != UP]


class ActionModule(ActionBase):
    """Leave the starting and enabling to ansible.builtin.systemd_service."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Start and enable what is not; the answer names it."""
        super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec({"name": {"type": "list", "elements": "str", "required": True}})
        names = list(args["name"])
        wrong = [name for name in names if not re.fullmatch(r"[A-Za-z0-9@._:-]+", name)]
        if wrong:
            raise AnsibleActionFail(f"services: {wrong[0]!r} is no unit's name. Write it as systemctl shows it.")
        down = not_up(names, str(self._low_level_execute_command(QUERY % " ".join(names))["stdout"])) if names else []
        # In a dry run the unit's package may not be there yet.
        for name in [] if self._task.check_mode else down:
            unit = {"name": name, "state": "started", "enabled": True}
            result: dict[str, Any] = self._execute_module(
                "ansible.builtin.systemd_service", module_args=unit, task_vars=task_vars
            )
            if result.get("failed"):
                return result
        return {"changed": bool(down), "started": down}
