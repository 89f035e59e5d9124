# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes when each task of a run began and ended to the file TASK_TIMES names."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_times
type: notification
short_description: Write when each task of a run began and ended
description:
  - One line of JSON for each task that ran somewhere, those that include others among them.
  - What was skipped is left out.
"""


class CallbackModule(CallbackBase):
    """A task ends where the next one begins."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_times"
    CALLBACK_NEEDS_ENABLED = True

    task: dict[str, t.Any] | None = None
    ran = False

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._end()
        self.task = {"task": task.get_name(), "step": str(task.args.get("step", "")), "began": time.time()}

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        self.v2_playbook_on_task_start(task, is_conditional=False)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self.ran = True

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self.ran = True

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._end()

    def _end(self) -> None:
        if self.task and self.ran:
            with Path(os.environ["TASK_TIMES"]).open("a", encoding="utf-8") as out:
                out.write(json.dumps({**self.task, "ended": time.time()}) + "\n")
        self.task, self.ran = None, False
