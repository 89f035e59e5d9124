# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write environment files; before anything changes every value is found and seen to be writable."""

from __future__ import annotations

import base64
import json
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleFilterError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible_collections.minato.fleet.plugins.filter.dotenv import dotenv

LOOKUP = {
    "plugin": {"type": "str", "required": True},
    "term": {"type": "str", "required": True},
    "options": {"type": "dict", "default": {}},
    "keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
}
FILE = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0600"},
    "values": {"type": "dict", "default": {}, "no_log": True},
    "lookups": {"type": "list", "elements": "dict", "default": [], "options": LOOKUP},
    "generate": {"type": "list", "elements": "str", "default": [], "no_log": False},
}
SPEC = {
    "name": {"type": "str", "default": "env_file"},
    "files": {"type": "list", "elements": "dict", "required": True, "options": FILE},
}
# Stands for a secret that is not made yet.
SAMPLE = "c2FtcGxl"

File = dict[str, Any]


class ValueMissingError(Exception):
    """A value is nowhere to be had, or in two places. The message names file, key and source."""


class ActionModule(ActionBase):
    """Ask every lookup once, the host for its generated secrets, and hand the files over to config_tree's module."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer of config_tree, with the secrets that were made in front of its diff."""
        super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(SPEC)
        files: list[File] = args["files"]
        self._answers: dict[str, Any] = {}
        try:
            values = {file["path"]: self._values(file, task_vars or {}) for file in files}
            for file in files:
                text(file, values[file["path"]], dict.fromkeys(file["generate"], SAMPLE))
        except (ValueMissingError, AnsibleFilterError) as wrong:
            raise AnsibleActionFail(str(wrong)) from None
        generated = self._generated(files, task_vars)
        if generated.get("failed"):
            return generated
        secrets = {
            file["path"]: text(file, values[file["path"]], generated["values"].get(file["path"], {})) for file in files
        }
        access = [{key: file[key] for key in ("path", "owner", "group", "mode")} | {"secret": True} for file in files]
        module_args = {
            "name": args["name"],
            "files": access,
            "secrets": {path: base64.b64encode(content.encode()).decode() for path, content in secrets.items()},
        }
        result: dict[str, Any] = self._execute_module(
            "minato.fleet.config_tree", module_args=module_args, task_vars=task_vars
        )
        kept = [*generated["made"], *generated["adopted"]]
        return {
            **result,
            "changed": bool(kept) or result.get("changed", False),
            "diff": [*store_diff(generated), *result.get("diff", [])],
            "generated": generated["made"],
            "warnings": [*generated.get("warnings", []), *result.get("warnings", [])],
        }

    def _generated(self, files: list[File], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        asked = [{"path": file["path"], "keys": file["generate"]} for file in files if file["generate"]]
        if not asked:
            return {"values": {}, "made": [], "adopted": []}
        answer: dict[str, Any] = self._execute_module(
            "minato.fleet.generated_secrets", module_args={"files": asked}, task_vars=task_vars
        )
        return answer

    def _values(self, file: File, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what is given and what the lookups find, in this order. Raises ValueMissingError."""
        check_given_once(file)
        values = dict(file["values"])
        for entry in file["lookups"]:
            values.update(self._look_up(file["path"], entry, task_vars))
        return values

    def _look_up(self, path: str, entry: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the values of one lookup's keys. Raises ValueMissingError."""
        call = json.dumps([entry["plugin"], entry["term"], entry["options"]], sort_keys=True, default=str)
        try:
            if call not in self._answers:
                self._answers[call] = self._ask(entry, task_vars)
        except Exception as error:  # a lookup raises whatever its library raises
            why = " ".join(str(error).split())
            raise ValueMissingError(
                f"{path}: no value for {', '.join(entry['keys'])}: {source(entry)} failed: {why}"
            ) from None
        return picked(path, entry, self._answers[call])

    def _ask(self, entry: dict[str, Any], task_vars: dict[str, Any]) -> Any:
        plugin = lookup_loader.get(entry["plugin"], loader=self._loader, templar=self._templar)
        if plugin is None:
            raise ValueMissingError("there is no such lookup plugin on the controller")
        return plugin.run([entry["term"]], variables=task_vars, **entry["options"])


def check_given_once(file: File) -> None:
    """Raise ValueMissingError where a variable has two sources."""
    given = dict.fromkeys(file["values"], "values")
    others = [(key, entry["plugin"]) for entry in file["lookups"] for key in entry["keys"]]
    for key, where in [*others, *((key, "generate") for key in file["generate"])]:
        if key in given:
            raise ValueMissingError(f"{file['path']}: {key} is given by {given[key]} and by {where}: keep one of them")
        given[key] = where


def source(entry: dict[str, Any]) -> str:
    """Say where a lookup looks."""
    return f"{entry['plugin']} {entry['term']}"


def picked(path: str, entry: dict[str, Any], answer: Any) -> dict[str, Any]:
    """Return the values of a lookup's keys from its answer. Raises ValueMissingError."""
    found = values_of(answer, entry["keys"])
    for key in entry["keys"]:
        value = found.get(key)
        if value is None or (isinstance(value, str) and not value.strip()):
            lack = f"an empty {key}" if key in found else f"no {key}"
            raise ValueMissingError(f"{path}: no value for {key}: {source(entry)} has {lack}")
    return {key: found[key] for key in entry["keys"]}


def values_of(answer: Any, keys: list[str]) -> dict[str, Any]:
    """Return values by name from a lookup's answer: a mapping, a JSON object, or the value of the only key."""
    found = answer[0] if isinstance(answer, list) and answer else None
    if isinstance(found, dict):
        return found
    try:
        document = json.loads(found or "")
    except (TypeError, ValueError):
        document = None
    if isinstance(document, dict):
        return document
    return {keys[0]: found} if len(keys) == 1 and found is not None else {}


def text(file: File, values: dict[str, Any], generated: dict[str, str]) -> str:
    """The text of one file. Raises AnsibleFilterError where a value cannot be written."""
    return str(dotenv({"path": file["path"], "values": {**values, **generated}}))


def store_diff(generated: dict[str, Any]) -> list[dict[str, str]]:
    """What the host's store of secrets gets: names only."""
    lines = [f"{name} (made)\n" for name in generated["made"]]
    lines += [f"{name} (taken over from the file)\n" for name in generated["adopted"]]
    header = "secrets generated on this host"
    return [{"before_header": header, "before": "", "after_header": header, "after": "".join(lines)}] if lines else []
