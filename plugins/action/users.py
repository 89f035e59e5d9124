# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask getent before asking the module: where every user is as wanted, which is nearly always, that is all."""

from __future__ import annotations

import re
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

QUERY = "getent passwd {names}; getent shadow {names}"
NOLOGIN = "/usr/sbin/nologin"
# The second day of 1970, as shadow counts it and in seconds: the first one means "never" to some programs.
CLOSED, EXPIRED, NEVER = "1", 86400, -1
SPEC = {
    "users": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "home": {"type": "path", "default": ""},
            "shell": {"type": "str", "default": ""},
            "expired": {"type": "bool", "default": False},
        },
    }
}


def differing(users: list[dict[str, Any]], answer: str) -> list[dict[str, Any]]:
    """The users, of those wanted, that getent's answer does not show as wanted."""
    lines = [line.strip().split(":") for line in answer.splitlines()]
    accounts = {line[0]: (line[5], line[6]) for line in lines if len(line) == 7}
    closed = {line[0] for line in lines if len(line) == 9 and line[7] == CLOSED}
    due = []
    for user in users:
        name = user["name"]
        home, shell = accounts.get(name, ("", ""))
        if not user["expired"]:
            if (home, shell) != (user["home"], user["shell"] or NOLOGIN) or name in closed:
                due.append(user)
        elif shell and (shell != NOLOGIN or name not in closed):
            due.append({**user, "home": home})
    return due


def arguments(user: dict[str, Any]) -> dict[str, Any]:
    """What the module is asked: an account for a program, one for a person, or one that nobody gets into."""
    if user["expired"]:
        return {"name": user["name"], "shell": NOLOGIN, "expires": EXPIRED}
    wanted = {"name": user["name"], "home": user["home"], "expires": NEVER}
    if user["shell"]:
        return {**wanted, "shell": user["shell"], "create_home": True}
    return {**wanted, "shell": NOLOGIN, "create_home": False, "system": True}


class ActionModule(ActionBase):
    """Leave the making to ansible.builtin.user."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make or mend each user that differs; the answer names them."""
        super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(SPEC)
        users = [{**user, "home": user["home"] or f"/home/{user['name']}"} for user in args["users"]]
        wrong = [user["name"] for user in users if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user["name"])]
        if wrong:
            raise AnsibleActionFail(
                f"users: {wrong[0]!r} is no user's name. Write lower case letters, digits, _ and -."
            )
        query = QUERY.format(names=" ".join(user["name"] for user in users))
        due = differing(users, str(self._low_level_execute_command(query)["stdout"])) if users else []
        for user in due:
            result: dict[str, Any] = self._execute_module(
                "ansible.builtin.user", module_args=arguments(user), task_vars=task_vars
            )
            if result.get("failed"):
                return result
        closed = [user for user in due if user["expired"]]
        return {
            "changed": bool(due),
            "made": [user["name"] for user in due if not user["expired"]],
            "closed": [user["name"] for user in closed],
            "warnings": [f"{user['name']} can no longer log in; {user['home']} stays as it is" for user in closed],
        }
