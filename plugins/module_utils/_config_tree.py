# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of `config_tree` on a host: survey, plan, stage, validate, swap, reload."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import time
from typing import Any, Callable, Dict, List, Mapping

from ansible_collections.minato.fleet.plugins.module_utils._config_tree_diff import diff
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_host import Accounts, create, set_access, survey
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_plan import DIRECTORY, Node, Plan, Refused, plan, wanted_set

ROOT = "/var/lib/minato/config_tree"


class Failed(Exception):
    """A step of the run failed; the message says which, with what output, and what is serving now."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


def contents(params: Mapping[str, Any]) -> Dict[str, bytes]:
    found = {}
    for entry in params["files"]:
        path = entry["path"]
        if path in params["secrets"]:
            found[path] = base64.b64decode(params["secrets"][path])
        elif entry.get("content_base64") is not None:
            found[path] = base64.b64decode(entry["content_base64"])
        elif entry.get("content") is not None:
            found[path] = entry["content"].encode("utf-8")
    return found


def run(params: Mapping[str, Any], check: bool, with_diff: bool, warn: Callable[[str], None], root: str = ROOT) -> Dict[str, Any]:
    accounts = Accounts()
    wanted = wanted_set(params, contents(params))
    wanted = wanted._replace(nodes={path: accounts.named(node) for path, node in wanted.nodes.items()})
    state = os.path.join(root, params["name"])
    manifest = _manifest(os.path.join(state, "manifest.json"))
    todo = plan(survey(wanted, manifest, accounts), wanted)
    result: Dict[str, Any] = {
        "changed": todo.changed,
        "files": [change.path for change in todo.changes if change.after is not None],
        "removed": [change.path for change in todo.changes if change.after is None],
        "backups": [{"path": path, "reason": why, "saved_to": ""} for path, why in todo.saves.items()],
        "recovered": False,
        "swap": "none",
    }
    if with_diff:
        result["diff"] = diff(todo)
    for path, why in todo.saves.items():
        warn(f"{path}: {why}; a copy is kept")
    if check:
        return result
    missing = accounts.missing(wanted.nodes)
    if missing:
        raise Failed(f"config_tree {params['name']}: {'; '.join(missing)}")
    os.makedirs(state, 0o700, exist_ok=True)
    if todo.changed:
        result["swap"] = "files"
        _apply(todo, accounts, params, state, result)
    if todo.manifest != manifest:
        with open(os.path.join(state, "manifest.json"), "w") as stream:
            json.dump({path: node._replace(content=None)._asdict() for path, node in todo.manifest.items()}, stream)
    return result


def _manifest(path: str) -> Dict[str, Node]:
    try:
        with open(path) as stream:
            return {path: Node(**node) for path, node in json.load(stream).items()}
    except FileNotFoundError:
        return {}


def _apply(todo: Plan, accounts: Accounts, params: Mapping[str, Any], state: str, result: Dict[str, Any]) -> None:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    undo: List[Any] = []
    for number, change in enumerate(todo.changes):
        if change.path in todo.saves:
            saved = os.path.join(state, "backup", stamp) + change.path
            os.makedirs(os.path.dirname(saved), 0o700, exist_ok=True)
            create(saved, change.before, accounts)  # type: ignore[arg-type]
            result["backups"] = [{**each, "saved_to": saved} if each["path"] == change.path else each for each in result["backups"]]
        undo.append((change.path, change.before))
        _put(change.path, change.before, change.after, accounts)
    for command in [*params["validate"], *([params["reload"]] if params["reload"] else [])]:
        done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        if done.returncode:
            for (path, before), change in zip(reversed(undo), reversed(todo.changes)):
                _put(path, change.after, before, accounts)
            raise Failed(f"config_tree {params['name']}: {command} (rc {done.returncode}): {done.stdout.decode('utf-8', 'replace').strip()}")


def _put(path: str, before: Any, after: Any, accounts: Accounts) -> None:
    if after is None:
        os.rmdir(path) if before.kind == DIRECTORY else os.unlink(path)
    elif after.kind == DIRECTORY and before is not None:
        set_access(path, after, accounts)
    elif after.kind == DIRECTORY:
        create(path, after, accounts)
    else:
        temp = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.minato~")
        create(temp, after, accounts)
        os.rename(temp, path)
