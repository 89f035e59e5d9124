# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask dpkg before asking apt: where every package is there, which is nearly always, apt need not open its cache."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# One line for each package that is known: its name and whether it is installed ("ii ", held: "hi ").
QUERY = "dpkg-query --show --showformat='${db:Status-Abbrev}${Package}\\n' -- %s 2>/dev/null"
# Without lists apt foresees nothing, and a dry run of its module does not fetch them.
LISTS = "ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt-get --quiet update >/dev/null"


def missing(names: list[str], answer: str) -> list[str]:
    """The packages, of those asked for, that dpkg's answer does not show as installed."""
    lines = (line.split(maxsplit=1) for line in answer.splitlines())
    installed = {parts[1].strip() for parts in lines if len(parts) == 2 and parts[0][1:2] == "i"}
    return [name for name in names if name not in installed]


class ActionModule(ActionBase):
    """Leave the installing to ansible.builtin.apt."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer of apt, or that there was nothing to do."""
        super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec({"name": {"type": "list", "elements": "str", "required": True}})
        names = list(args["name"])
        wrong = [name for name in names if not name.replace("+", "").replace(".", "").replace("-", "").isalnum()]
        if wrong:
            raise AnsibleActionFail(
                f"packages: {wrong[0]!r} is no package's name. Write the name alone, as dpkg shows it."
            )
        absent = missing(names, self._ask(QUERY % " ".join(names))) if names else []
        if not absent:
            return {"changed": False, "installed": []}
        if self._task.check_mode:
            self._ask(LISTS)
        apt = {"name": absent, "install_recommends": False, "update_cache": True, "cache_valid_time": 3600}
        result: dict[str, Any] = self._execute_module("ansible.builtin.apt", module_args=apt, task_vars=task_vars)
        return {**result, "installed": [] if result.get("failed") else absent}

    def _ask(self, command: str) -> str:
        return str(self._low_level_execute_command(command)["stdout"])
