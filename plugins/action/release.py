# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell the module which run it belongs to, send it the archive that it shall unpack, and keep a history here as well.

A deploy key goes through a pipe. What a killed run left locked is so told from what another run is doing.
"""

from __future__ import annotations

import getpass
import multiprocessing
import os
import re
import socket
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.minato.fleet.plugins.module_utils._release_history import HistoryError, append
from ansible_collections.minato.fleet.plugins.plugin_utils.piped import insist

HISTORY = "~/.local/state/minato.fleet/history.jsonl"


def holder() -> str:
    """This run: who, on which machine, and the process that all of its tasks come from.

    A task may outlive a run that is killed, and is another process's child then.
    """
    run = multiprocessing.parent_process() or multiprocessing.current_process()
    return f"{getpass.getuser()}@{socket.gethostname()}, process {run.pid}"


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


def keep(path: str, entry: dict[str, Any]) -> None:
    """Add a line to this machine's own history. Raises HistoryError."""
    whole = os.path.abspath(os.path.expanduser(path))
    try:
        os.makedirs(os.path.dirname(whole), 0o700, exist_ok=True)
    except OSError as error:
        raise HistoryError(f"{path} did not get its line: {error.strerror}") from None
    append(whole, entry, 0o600)


class ActionModule(ActionBase):
    """The module, once more where the lock is that of a run that was killed."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module."""
        super().run(tmp, task_vars)
        arguments = {"controller_history": HISTORY, **self._task.args, "holder": holder()}
        history = arguments.pop("controller_history")
        arguments["host"] = (task_vars or {}).get("inventory_hostname", "")
        if arguments.get("deploy_key"):
            insist(self._connection)
        if arguments.get("step") == "unpack" and not self._task.check_mode:
            artifact = arguments["artifact"]
            arguments["artifact"] = {**artifact, "path": self._sent(artifact["path"])}
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        if is_over(str(result.get("locked_by", ""))):
            arguments["over"] = result["locked_by"]
            result = self._execute_module(module_args=arguments, task_vars=task_vars)
        if history and result.get("entry"):
            try:
                keep(str(history), result["entry"])
            except HistoryError as error:
                result.setdefault("warnings", []).append(f"on the controller, {error}")
        return result

    def _sent(self, archive: str) -> str:
        """Where the archive is on the host: in the task's own directory, which is removed when the task is done."""
        if not os.path.isfile(archive):
            raise AnsibleActionFail(f"{archive} is not on the controller: run again, and it is built")
        self._make_tmp_path()
        shell = self._connection._shell
        remote = str(shell.join_path(shell.tmpdir, "release.tar.gz"))
        self._transfer_file(archive, remote)
        self._fixup_perms2((shell.tmpdir, remote))
        return remote
