# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build releases on the controller, or get them from where they were built. No host is asked."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.minato.fleet.plugins.module_utils._releases import APP_SPEC, mistakes
from ansible_collections.minato.fleet.plugins.plugin_utils import artifact_fetch
from ansible_collections.minato.fleet.plugins.plugin_utils.artifact_build import BuildError, Order, find, make, tools
from ansible_collections.minato.fleet.plugins.plugin_utils.artifact_store import Store
from ansible_collections.minato.fleet.plugins.plugin_utils.artifacts import lacks

SPEC = {
    "step": {"type": "str", "choices": ["check", "build"], "required": True},
    "apps": {"type": "list", "elements": "dict", "options": APP_SPEC, "default": []},
    "app": {"type": "dict", "options": APP_SPEC},
    "commit": {"type": "str", "default": ""},
    "deploy_key": {"type": "str", "default": "", "no_log": True},
    "environment": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 1800},
    "directory": {"type": "path", "default": "~/.cache/minato.fleet"},
    "controller_path": {"type": "list", "elements": "path", "default": []},
    "architecture": {"type": "str", "default": ""},
}
# In a dry run nothing is built, and what would be is not known.
FORETOLD = {"path": "", "sha256": "", "size": 0, "manifest": {}}


class ActionModule(ActionBase):
    """Look at the controller, or build on it."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the step."""
        super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(SPEC, required_if=[("step", "build", ("app",))])
        if args["step"] == "check":
            return check(args)
        return self._build(args)

    def _build(self, args: dict[str, Any]) -> dict[str, Any]:
        app = args["app"]
        wrong = mistakes(app)
        if wrong:
            raise AnsibleActionFail("; ".join(wrong))
        if app["artifact"]:
            return self._fetch(args)
        told = args["environment"], args["controller_path"], args["timeout"], args["deploy_key"]
        order = Order(app, args["commit"], *told)
        store = Store(args["directory"], app["name"])
        if self._task.check_mode:
            known = find(order, store)
            return {"changed": known is None, "artifact": known or FORETOLD}
        if not args["commit"]:
            raise AnsibleActionFail(f"{app['name']}: the commit to build is missing")
        try:
            artifact, built = make(order, store)
        except BuildError as error:
            raise AnsibleActionFail(str(error)) from None
        return {"changed": built, "artifact": artifact}

    def _fetch(self, args: dict[str, Any]) -> dict[str, Any]:
        app, store = args["app"], Store(args["directory"], args["app"]["name"])
        try:
            if self._task.check_mode:
                known = artifact_fetch.find(app, store)
                return {"changed": known is None, "artifact": known or FORETOLD}
            artifact, fetched = artifact_fetch.fetch(app, store, args["timeout"])
        except artifact_fetch.FetchError as error:
            raise AnsibleActionFail(str(error)) from None
        return {"changed": fetched, "artifact": artifact}


def check(args: dict[str, Any]) -> dict[str, Any]:
    """Raise AnsibleActionFail that says all that the controller lacks."""
    has = tools(args["controller_path"])
    built = [app for app in args["apps"] if not app["artifact"]]
    found = [sentence for app in built for sentence in lacks(app, has, args["architecture"])]
    if found:
        raise AnsibleActionFail("\n".join(found))
    return {"changed": False}
