# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run modules of community.aws one after the other: their names and arguments on standard input, their results as JSON.

A process of its own, so that nobody else's Ansible meets a collection that was imported as plain Python.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
from typing import Any

from ansible.module_utils.testing import patch_module_args


def run(name: str, arguments: dict[str, Any]) -> Any:
    module = importlib.import_module(f"ansible_collections.community.aws.plugins.modules.{name}")
    said = io.StringIO()
    with patch_module_args(arguments), contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        module.main()
    return json.loads(said.getvalue())


if __name__ == "__main__":
    json.dump([run(*step) for step in json.load(sys.stdin)], sys.stdout)
