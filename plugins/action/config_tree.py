# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Render every template of a set on the controller and hand the host the whole set in one module call."""

from __future__ import annotations

import base64
import difflib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError, AnsibleUndefinedVariable
from ansible.plugins.action import ActionBase
from ansible.plugins.connection import ConnectionBase
from ansible.template import trust_as_template

_SET_KEYS = ("name", "directory", "files", "directories", "links", "absent", "validate", "reload", "confirm_within")
_ENTRY_KEYS = {
    "files": ("path", "template", "content", "src", "vars", "owner", "group", "mode", "secret"),
    "directories": ("path", "owner", "group", "mode"),
    "links": ("path", "target"),
}
_SOURCES = ("template", "content", "src")
_PATIENCE = 30  # seconds for which a new connection is tried, if the set waits that long to be confirmed
_PAUSE = 2


class ActionModule(ActionBase):
    """Turn `template`, `content` and `src` into bytes; all the rest is the module's."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render, then run the module once."""
        super().run(tmp, task_vars)
        # Otherwise every run copies the whole configuration into the host's journal.
        variables = {**(task_vars or {}), "ansible_no_target_syslog": True}
        args = dict(self._task.args)
        try:
            check_keys(args)
            files, secrets = [], {}
            for entry in args.get("files") or []:
                content = self._content(entry, variables)
                plain = {key: value for key, value in entry.items() if key not in (*_SOURCES, "vars")}
                if is_secret(entry):
                    secrets[entry["path"]] = base64.b64encode(content).decode()
                else:
                    plain.update(encoded(content))
                files.append(plain)
        except ArgumentsError as wrong:
            raise AnsibleActionFail(f"config_tree {args.get('name', '(no name)')}: {wrong}") from None
        args.update(files=files, secrets=secrets)
        result: dict[str, Any] = self._execute_module(module_args=args, task_vars=variables)
        if result.get("unconfirmed"):
            result.update(self._confirmed(args["name"], int(args["confirm_within"]), variables))
        return result

    def _confirmed(self, name: str, within: int, variables: dict[str, Any]) -> dict[str, Any]:
        """Confirm the set over a new connection; where none is to be had, the host undoes it."""
        until = time.monotonic() + min(within, _PATIENCE)
        while True:
            try:
                # The connection that carried the set was open before, and would outlive any firewall.
                if type(self._connection).reset is not ConnectionBase.reset:
                    self._connection.reset()
                said = self._execute_module(module_args={"name": name, "confirm": True}, task_vars=variables)
            except AnsibleConnectionFailure as error:
                if time.monotonic() < until:
                    time.sleep(_PAUSE)
                    continue
                return {
                    "failed": True,
                    "msg": f"config_tree {name}: with the new set no new connection to the host can be made, so the "
                    f"host puts the old one back by itself, {within} s after the new one went live. {error}",
                }
            return {key: said[key] for key in ("failed", "msg", "unconfirmed") if key in said}

    def _content(self, entry: Mapping[str, Any], variables: dict[str, Any]) -> bytes:
        """Return the bytes of one file, rendered or read on the controller."""
        if "content" in entry:
            if not isinstance(entry["content"], str):
                raise ArgumentsError(
                    f"files: content of {entry['path']} is a {type(entry['content']).__name__}: give a string"
                )
            return entry["content"].encode()
        if "src" in entry:
            real = self._needle("files", entry["src"], entry["path"])
            with open(self._loader.get_real_file(real), "rb") as stream:
                return stream.read()
        return self._render(entry, variables)

    def _needle(self, folder: str, name: str, path: str) -> str:
        try:
            found: str = self._find_needle(folder, name)
        except AnsibleError:
            raise ArgumentsError(
                f"files: {path} wants {name}, which is not in the {folder}/ of this role or playbook"
            ) from None
        return found

    def _render(self, entry: Mapping[str, Any], variables: dict[str, Any]) -> bytes:
        name, path = entry["template"], entry["path"]
        source = self._needle("templates", name, path)
        text = trust_as_template(self._loader.get_text_file_contents(source))
        roots = [*variables.get("ansible_search_path", []), self._loader.get_basedir(), os.path.dirname(source)]
        templar = self._templar.copy_with_new_env(
            searchpath=[place for root in roots for place in (os.path.join(root, "templates"), root)],
            available_variables={**variables, **(entry.get("vars") or {})},
        )
        try:
            rendered = templar.template(text, escape_backslashes=False, overrides={"trim_blocks": True})
        except AnsibleUndefinedVariable as error:
            raise ArgumentsError(f"template {name} (for {path}): {error.message}") from None
        except AnsibleError as error:
            # The message of any other error may quote the value that it stumbled over.
            why = type(error).__name__ + " (message withheld: the file is secret)" if is_secret(entry) else str(error)
            raise ArgumentsError(f"template {name} (for {path}): {why}") from None
        content = "" if rendered is None else str(rendered)
        return (content if not content or content.endswith("\n") else content + "\n").encode()


class ArgumentsError(Exception):
    """The task's arguments cannot be used. The message says what, where and what to write instead."""


def is_secret(entry: Mapping[str, Any]) -> bool:
    """Say whether a file's content must stay hidden; a word that is no boolean was refused before."""
    return bool(entry.get("secret", False))


def encoded(content: bytes) -> dict[str, str]:
    """Return the module's argument for some content: as text where it is text."""
    try:
        return {"content": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"content_base64": base64.b64encode(content).decode()}


def check_keys(args: Mapping[str, Any]) -> None:
    """Refuse unknown keys, entries of the wrong shape, and files without exactly one source."""
    _known(args, _SET_KEYS, "the set")
    for key, known in _ENTRY_KEYS.items():
        entries = args.get(key) or []
        if not isinstance(entries, Sequence) or isinstance(entries, str):
            raise ArgumentsError(f"{key} is a {type(entries).__name__}: give a list")
        for number, entry in enumerate(entries, 1):
            where = f"{key}, entry {number}"
            if not isinstance(entry, Mapping):
                raise ArgumentsError(f"{where} is a {type(entry).__name__}: give a dictionary with path")
            if not isinstance(entry.get("path"), str):
                raise ArgumentsError(f"{where} has no path")
            where = f"{key}, entry {number} ({entry['path']})"
            _known(entry, known, where)
            if key == "files":
                _check_file(entry, where)


def _check_file(entry: Mapping[str, Any], where: str) -> None:
    given = [source for source in _SOURCES if source in entry]
    if len(given) != 1:
        raise ArgumentsError(f"{where}: give exactly one of {', '.join(_SOURCES)}, not {' and '.join(given) or 'none'}")
    if not isinstance(entry.get("secret", False), bool):
        raise ArgumentsError(f"{where}: secret must be true or false, not {entry['secret']!r}")
    if entry.get("vars") is not None and not isinstance(entry["vars"], Mapping):
        raise ArgumentsError(f"{where}: vars must be a dictionary")


def _known(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ArgumentsError(f"{where} has an unknown key {key}{hint} Known: {', '.join(known)}")
