# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kills the controller before a task, as a power cut would."""

from __future__ import annotations

import os
import signal
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kill_at
type: notification
short_description: Kill the controller before a task
description:
  - The run is killed (SIGKILL, with all of its processes) before the first task whose name begins with KILL_AT, or
    whose number that is, counted from the first one whose name begins with "Lock other runs out".
  - With KILL_AT=0 nothing is killed. The names of the tasks are written to KILL_LIST.
"""
FIRST = "Lock other runs out"


class CallbackModule(CallbackBase):
    """Counts tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "kill_at"
    CALLBACK_NEEDS_ENABLED = True

    count = 0

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        name = task.get_name().rsplit(" : ", 1)[-1]
        if not self.count and not name.startswith(FIRST):
            return
        self.count += 1
        if os.environ.get("KILL_LIST"):
            with open(os.environ["KILL_LIST"], "a", encoding="utf-8") as names:
                names.write(name + "\n")
        wanted = os.environ["KILL_AT"]
        if wanted == str(self.count) or name.startswith(wanted):
            os.killpg(0, signal.SIGKILL)
