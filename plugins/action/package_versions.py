# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask dpkg for the versions of some packages, without opening apt's cache."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

QUERY = "dpkg-query --show --showformat='${db:Status-Abbrev}\\t${Package}\\t${Version}\\n' -- %s 2>/dev/null"


def installed(answer: str) -> dict[str, str]:
    """The versions of those packages that dpkg's answer shows as installed, held ones included."""
    lines = (line.split("\t") for line in answer.splitlines())
    return {parts[1]: parts[2].strip() for parts in lines if len(parts) == 3 and parts[0][1:2] == "i"}


class ActionModule(ActionBase):
    """One plain command; nothing is changed."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the installed versions by name."""
        super().run(tmp, task_vars)
        name = {"type": "list", "elements": "str", "required": True}
        _checked, args = self.validate_argument_spec({"name": name})
        quoted = " ".join(self._connection._shell.quote(str(one)) for one in args["name"])
        answer = str(self._low_level_execute_command(QUERY % quoted)["stdout"])
        return {"changed": False, "installed": installed(answer)}
