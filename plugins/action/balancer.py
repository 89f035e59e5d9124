# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask AWS on the controller; the host only keeps a note of having been taken out, for the run after one that died."""

from __future__ import annotations

import os
import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_clients import CallError
from ansible_collections.minato.fleet.plugins.plugin_utils.balancer_turns import Pace, Turn, come_back, leave
from ansible_collections.minato.fleet.plugins.plugin_utils.balancers import BalancerError, connect

SPEC: dict[str, Any] = {
    "step": {"type": "str", "choices": ["leave", "join"], "required": True},
    "balancer": {
        "type": "dict",
        "required": True,
        "required_one_of": [["lightsail", "target_group"]],
        "mutually_exclusive": [["lightsail", "target_group"]],
        "options": {
            "lightsail": {"type": "str"},
            "target_group": {"type": "str"},
            "instance": {"type": "str", "required": True},
            "port": {"type": "int", "default": 0},
            "region": {"type": "str", "default": ""},
            "profile": {"type": "str", "default": ""},
            "drain": {"type": "float", "default": 30},
            "timeout": {"type": "float", "default": 300},
        },
    },
    "delay": {"type": "float", "default": 5},
    "marker": {"type": "str", "default": "/var/lib/minato/balancer/left"},
}


class ActionModule(ActionBase):
    """Take the host's instance out of its load balancer, or put it back."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the step. Without the note that the host was taken out, there is nothing to put back or to ask."""
        super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(SPEC)
        marked = self._is_marked(args["marker"])
        if args["step"] == "join" and not marked:
            return {"changed": False, "out": False}
        try:
            turn = self._leave(args, marked) if args["step"] == "leave" else self._join(args)
        except (BalancerError, CallError) as error:
            raise AnsibleActionFail(str(error)) from None
        warnings = {"warnings": [turn.said]} if turn.warns else {}
        return {"changed": turn.changed, "out": turn.out, "msg": turn.said, **warnings}

    def _leave(self, args: dict[str, Any], marked: bool) -> Turn:
        said = args["balancer"]
        write = None if self._task.check_mode else lambda: self._mark(args["marker"], said)
        return leave(connect(said), said["instance"], marked, pace(args), write)

    def _join(self, args: dict[str, Any]) -> Turn:
        said = args["balancer"]
        if self._task.check_mode:
            return Turn(True, True, f"{said['instance']} would be put back.")
        turn = come_back(connect(said), said["instance"], pace(args))
        self._do(f"rm -f {shlex.quote(args['marker'])}")
        return turn

    def _is_marked(self, marker: str) -> bool:
        answer = self._low_level_execute_command(f"test -e {shlex.quote(marker)} && echo left || echo here")
        if answer["stdout"].strip() not in ("left", "here"):
            raise AnsibleActionFail(f"{marker} cannot be looked for: {answer['stderr'].strip()}")
        return bool(answer["stdout"].strip() == "left")

    def _mark(self, marker: str, said: dict[str, Any]) -> None:
        text = f"{said['lightsail'] or said['target_group']} {said['instance']}"
        directory = shlex.quote(os.path.dirname(marker))
        self._do(f"mkdir -p -m 0700 {directory} && printf '%s\\n' {shlex.quote(text)} > {shlex.quote(marker)}")

    def _do(self, command: str) -> None:
        answer = self._low_level_execute_command(command)
        if answer["rc"] != 0:
            raise AnsibleActionFail(f"{command}: {answer['stderr'].strip()}")


def pace(args: dict[str, Any]) -> Pace:
    """How long is waited."""
    return Pace(args["delay"], args["balancer"]["drain"], args["balancer"]["timeout"])
