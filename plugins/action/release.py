# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell the module which run it belongs to: what a killed run left locked is told from what another run is doing."""

from __future__ import annotations

import getpass
import os
import re
import socket
from typing import Any

from ansible.plugins.action import ActionBase


def holder() -> str:
    """This run: who, on which machine, and the process that all of its tasks come from."""
    return f"{getpass.getuser()}@{socket.gethostname()}, process {os.getppid()}"


def is_over(other: str) -> bool:
    """Whether a holder is a run of this machine that is no more."""
    found = re.fullmatch(r".*@(?P<host>[^@]+), process (?P<pid>\d+)", other)
    if not found or found["host"] != socket.gethostname():
        return False
    try:
        os.kill(int(found["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class ActionModule(ActionBase):
    """The module, once more where the lock is that of a run that was killed."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module."""
        super().run(tmp, task_vars)
        arguments = {**self._task.args, "holder": holder()}
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        if is_over(str(result.get("locked_by", ""))):
            arguments["over"] = result["locked_by"]
            result = self._execute_module(module_args=arguments, task_vars=task_vars)
        return result
