# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counts the modules that a run executes on its hosts, and writes them to the file MODULE_CALLS names."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: module_calls
type: notification
short_description: Count the modules executed on hosts
description:
  - One line of JSON for each task that ran something on a host, an item of a loop being one.
  - Actions of the controller do not count.
"""


# They go to the host, and their results do not say so.
GO_TO_THE_HOST = (
    "minato.fleet.facts",
    "minato.fleet.packages",
    "minato.fleet.services",
    "minato.fleet.users",
)


class CallbackModule(CallbackBase):
    """A module's result carries its invocation; that of an action which stays on the controller does not."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "module_calls"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: t.Any) -> None:
        answer = result.result
        answers = answer["results"] if "results" in answer and "invocation" not in answer else [answer]
        calls = sum(1 for one in answers if isinstance(one, dict) and "invocation" in one)
        if not calls and result.task.action in GO_TO_THE_HOST:
            calls = 1
        if calls:
            with Path(os.environ["MODULE_CALLS"]).open("a", encoding="utf-8") as out:
                task = result.task
                out.write(json.dumps({"task": task.get_name(), "action": task.action, "calls": calls}) + "\n")
