# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counts the modules that a run executes on its hosts, and writes them to the file RUN_COST names."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: run_cost
type: notification
short_description: Count the modules executed on hosts, and the seconds of the run
description:
  - One line of JSON for the run's playbook, one for each task that ran something on a host, and one for its seconds.
  - An item of a loop is a call. Actions of the controller are none.
"""


# They go to the host, and their results do not say so.
GO_TO_THE_HOST = (
    "minato.fleet.facts",
    "minato.fleet.package_versions",
    "minato.fleet.packages",
    "minato.fleet.services",
    "minato.fleet.users",
)


class CallbackModule(CallbackBase):
    """A module's result carries its invocation; that of an action which stays on the controller does not."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "run_cost"
    CALLBACK_NEEDS_ENABLED = True

    began = 0.0

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self.began = time.monotonic()
        name = Path(str(playbook._file_name)).stem
        self._write(playbook=name, check=bool(context.CLIARGS.get("check")))

    def v2_runner_on_ok(self, result: t.Any) -> None:
        answer = result.result
        answers = answer["results"] if "results" in answer and "invocation" not in answer else [answer]
        calls = sum(1 for one in answers if isinstance(one, dict) and "invocation" in one)
        if not calls and result.task.action in GO_TO_THE_HOST:
            calls = 1
        if calls:
            task = result.task
            self._write(host=result.host.get_name(), task=task.get_name(), action=task.action, calls=calls)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._write(seconds=time.monotonic() - self.began)

    def _write(self, **line: t.Any) -> None:
        with Path(os.environ["RUN_COST"]).open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
