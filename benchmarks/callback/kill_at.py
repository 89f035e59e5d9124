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
  - With KILL_AT=0 nothing is killed. Number and name of each task that did something on a host are written to
    KILL_LIST.
"""
FIRST = "Lock other runs out"
# What is done on the controller alone: a run that is killed before it has left what one has that is killed after it.
HERE = {"assert", "debug", "fail", "include_role", "include_tasks", "set_fact", "validate_argument_spec"}


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
        wanted = os.environ["KILL_AT"]
        if wanted == str(self.count) or name.startswith(wanted):
            os.killpg(0, signal.SIGKILL)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        task = result.task
        if self.count and os.environ.get("KILL_LIST") and task.action.rsplit(".", 1)[-1] not in HERE:
            with open(os.environ["KILL_LIST"], "a", encoding="utf-8") as names:
                names.write(f"{self.count} {task.get_name()}\n")
