# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask getent before asking the module: where every user is as wanted, which is nearly always, that is all."""

from __future__ import annotations

import re
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

QUERY = "getent passwd %s"
SHELL = "/usr/sbin/nologin"
SPEC = {
    "users": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"name": {"type": "str", "required": True}, "home": {"type": "path", "required": True}},
    }
}


def differing(users: list[dict[str, str]], answer: str) -> list[dict[str, str]]:
    """The users, of those wanted, that getent's answer does not show with their home and no shell."""
    entries = [line.split(":") for line in answer.splitlines()]
    found = {entry[0]: (entry[5], entry[6].strip()) for entry in entries if len(entry) == 7}
    return [user for user in users if found.get(user["name"]) != (user["home"], SHELL)]


class ActionModule(ActionBase):
    """Leave the making to ansible.builtin.user."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make or mend each user that differs; the answer names them."""
        super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(SPEC)
        users = list(args["users"])
        wrong = [user["name"] for user in users if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user["name"])]
        if wrong:
            raise AnsibleActionFail(
                f"users: {wrong[0]!r} is no user's name. Write lower case letters, digits, _ and -."
            )
        query = QUERY % " ".join(user["name"] for user in users)
        due = differing(users, str(self._low_level_execute_command(query)["stdout"])) if users else []
        for user in due:
            wanted = {**user, "create_home": False, "shell": SHELL, "system": True}
            result: dict[str, Any] = self._execute_module(
                "ansible.builtin.user", module_args=wanted, task_vars=task_vars
            )
            if result.get("failed"):
                return result
        return {"changed": bool(due), "made": [user["name"] for user in due]}
