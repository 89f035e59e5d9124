# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask the repositories of the apps that are built on the controller from there; all the rest is the module's.

It gets the deploy keys of the others alone, and through a pipe.
"""

from __future__ import annotations

import shutil
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.minato.fleet.plugins.module_utils._git import Git, GitError
from ansible_collections.minato.fleet.plugins.module_utils._releases import (
    APP_SPEC,
    INFO_SPEC,
    asks_server,
    mistakes,
)
from ansible_collections.minato.fleet.plugins.plugin_utils.piped import insist

SPEC = {
    "apps": {"type": "list", "elements": "dict", "required": True, "options": APP_SPEC},
    **INFO_SPEC,
    "refs": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    """The module, with the answers of git."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, then run the module once."""
        super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(SPEC)
        # What is wrong with an app's description is told by the module, of all apps at once.
        keys = args["deploy_keys"]
        refs = {
            app["name"]: answer(app, keys.get(app["name"], ""))
            for app in args["apps"]
            if is_asked_here(app, args) and not mistakes(app)
        }
        sent = {app["name"]: keys[app["name"]] for app in args["apps"] if is_key_sent(app, args)}
        if sent:
            insist(self._connection)
        result: dict[str, Any] = self._execute_module(
            module_args={**self._task.args, "refs": refs, "deploy_keys": sent}, task_vars=task_vars
        )
        return result


def is_asked(app: dict[str, Any], args: dict[str, Any]) -> bool:
    """Whether the app's repository is to be asked by anybody."""
    return not app["artifact"] and app["name"] not in args["target"] and not args["detail"]


def is_asked_here(app: dict[str, Any], args: dict[str, Any]) -> bool:
    """Whether the app's repository is to be asked, and from the controller."""
    return app["build_on"] == "controller" and is_asked(app, args)


def is_key_sent(app: dict[str, Any], args: dict[str, Any]) -> bool:
    """Whether the host has a question for which it needs the app's deploy key."""
    asks = is_asked(app, args) and not is_asked_here(app, args) and asks_server(app)
    return asks and app["name"] in args["deploy_keys"]


def answer(app: dict[str, Any], key: str) -> dict[str, str]:
    """What the app's repository has under the names of the wanted version. Raises AnsibleActionFail."""
    git = shutil.which("git")
    if not git:
        raise AnsibleActionFail(f"{app['name']}: build_on: controller needs git on the controller. Install it there.")
    try:
        return Git(git, app["repository"], key, app["repository_host_keys"]).refs(app["version"])
    except GitError as error:
        raise AnsibleActionFail(
            f"{app['name']}: {error}. The controller asked, as build_on has it."
            " Nothing was changed: mend repository or version of the app and run again."
        ) from None
