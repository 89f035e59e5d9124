# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of `config_tree` on a host: survey, plan, stage, validate, swap, reload. See docs/config_tree.md.

What only a changing run needs is imported where it is used: a run that changes nothing is the common one.
"""

from __future__ import annotations

import base64
import os
import time
from typing import TYPE_CHECKING, Any, Callable, Mapping

from ansible_collections.minato.fleet.plugins.module_utils._config_tree_host import Accounts, survey
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_plan import (
    BY_HAND,
    Current,
    InputError,
    Plan,
    Wanted,
    plan,
    wanted_set,
)
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_store import ROOT, RunError, Store

if TYPE_CHECKING:
    from ansible_collections.minato.fleet.plugins.module_utils._config_tree_swap import Swap

__all__ = ["InputError", "RunError", "confirm", "run"]

_RESTAGE = 3  # times a directory is staged anew because somebody else keeps changing it


def run(
    params: Mapping[str, Any], check: bool, with_diff: bool, warn: Callable[[str], None], root: str = ROOT
) -> dict[str, Any]:
    """Bring one set about, or (`check`) only say what that would change.

    Returns the module's result. Raises `InputError` for input that cannot be made true and `RunError` for a step that
    did not work; after either, the set is as it was before the run.
    """
    try:
        return _Run(params, warn, root).go(check, with_diff)
    except (InputError, RunError) as error:
        raise type(error)(f"config_tree {params['name']}: {error}") from error


def confirm(name: str, root: str = ROOT) -> None:
    """Keep a set that is live and waits for this. Raises `RunError` where the host has put the old one back."""
    from ansible_collections.minato.fleet.plugins.module_utils._config_tree_swap import Swap

    store = Store(root, name)
    with store.locked():
        journal = store.journal()
        if journal is None or journal["phase"] != "swapped":
            raise RunError(f"config_tree {name}: it was not confirmed in time, and the old set is back in place")
        Swap(store, Accounts(), journal).finish()


def contents(params: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the bytes of every file by path."""
    found = {}
    for entry in params["files"]:
        packed = params["secrets"].get(entry["path"]) or entry.get("content_base64")
        if packed is not None:
            found[entry["path"]] = base64.b64decode(packed)
        elif entry["path"] in params["secrets"]:
            found[entry["path"]] = b""
        elif entry.get("content") is not None:
            found[entry["path"]] = entry["content"].encode("utf-8")
    return found


class _Run:
    def __init__(self, params: Mapping[str, Any], warn: Callable[[str], None], root: str) -> None:
        self.accounts = Accounts()
        self.store = Store(root, params["name"])
        wanted = wanted_set(params, contents(params))
        self.wanted: Wanted = wanted._replace(
            nodes={path: self.accounts.named(node) for path, node in wanted.nodes.items()}
        )
        self.checks: list[str] = params["validate"]
        self.reload: str = params["reload"] or ""
        self.confirm_within: int = params.get("confirm_within") or 0
        self.unconfirmed = False
        if self.confirm_within and wanted.directory:
            raise InputError("confirm_within: a set with a directory cannot wait to be confirmed: leave directory out")
        self.warn = warn
        self.recovered = False
        self.how = "none"
        self.saved: dict[str, str] = {}
        self.known = list(self.wanted.nodes.values())  # whose secrets a command's output must not show

    def go(self, check: bool, with_diff: bool) -> dict[str, Any]:
        if check:
            todo = self._predict()
        else:
            with self.store.locked():
                todo = self._converge()
        result: dict[str, Any] = {
            "changed": todo.changed or self.recovered,
            "files": [change.path for change in todo.changes if change.after is not None],
            "removed": [change.path for change in todo.changes if change.after is None],
            "backups": [
                {"path": path, "reason": why, "saved_to": self.saved.get(path, "")} for path, why in todo.saves.items()
            ],
            "recovered": self.recovered,
            "swap": self.how,
            "unconfirmed": self.unconfirmed,
        }
        if with_diff:
            from ansible_collections.minato.fleet.plugins.module_utils._config_tree_diff import diff

            result["diff"] = diff(todo)
        return result

    def _plan(self) -> tuple[Current, Plan]:
        current = survey(self.wanted, self.store.manifest(), self.accounts)
        todo = plan(current, self.wanted)
        for path, why in todo.saves.items():
            if why == BY_HAND:
                self.warn(f"{path} was {why}: the edit is replaced, a copy is kept in {self.store.at('backup')}")
        return current, todo

    def _predict(self) -> Plan:
        journal = self.store.journal()
        if journal is not None and journal["phase"] not in ("staging", "done", "undone"):
            self.recovered = True
            self.warn("an earlier run was cut short, or not confirmed: its swap would be finished or undone first")
        return self._plan()[1]

    def _converge(self) -> Plan:
        self._recover()
        current, todo = self._plan()
        missing = self.accounts.missing(self.wanted.nodes)
        if missing:
            raise RunError(f"nothing was changed: {'; '.join(missing)}")
        if todo.changed:
            self._apply(current, todo)
        elif todo.manifest != current.manifest:
            self.store.write_manifest(todo.manifest)
        return todo

    def _recover(self) -> None:
        """Finish or undo what an earlier run left half-made, as its journal says."""
        journal = self.store.journal()
        if journal is None:
            return
        from ansible_collections.minato.fleet.plugins.module_utils._config_tree_swap import Swap

        swap = Swap(self.store, self.accounts, journal)
        if journal["phase"] in ("staging", "undone"):
            swap.close()
        elif journal["phase"] == "done":
            swap.finish()
        else:
            self.recovered = True
            self.warn("an earlier run was cut short, or not confirmed: its swap was finished or undone first")
            # This run's own command, if it has one: what cut the other run short may have been its command.
            self._settle(swap, self.reload or journal["reload"])

    def _settle(self, swap: Swap, reload: str) -> None:
        if swap.is_committed():
            swap.commit()
            failure = self._tell(reload)
            if not failure:
                swap.finish()
                return
            self.warn(f"the set of the earlier run failed to reload and was undone: {failure}")
        swap.undo()
        failure = self._tell(reload)
        if failure:
            self.warn(f"the old set is back in place, but its reload failed: {failure}")
        swap.close()

    def _tell(self, command: str) -> str:
        """Have the service load what is in place; returns what went wrong."""
        from ansible_collections.minato.fleet.plugins.module_utils._config_tree_check import first_failure

        failure = first_failure([command] if command else [])
        return self._masked(str(failure)) if failure else ""

    def _apply(self, current: Current, todo: Plan) -> None:
        from ansible_collections.minato.fleet.plugins.module_utils._config_tree_swap import Swap

        self.known.extend(current.nodes.values())
        swap = Swap.of(self.store, self.accounts, todo, self.wanted.directory, self.reload, self.confirm_within)
        try:
            refused = self._stage(swap, todo)
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            for path in todo.saves:
                self.saved[path] = self.store.save(path, current.nodes[path], stamp, self.accounts)
        except OSError as error:
            swap.close()
            raise RunError(f"nothing was changed: staging failed: {error}") from error
        except RunError:
            swap.close()
            raise
        swap.go_live(todo, validated=not refused)
        self.how = "directory" if swap.staged else "files"
        if refused:
            self._check_in_place(swap, refused)
        self._reload(swap)
        self.unconfirmed = swap.has_to_be_confirmed
        if not self.unconfirmed:
            swap.finish()

    def _stage(self, swap: Swap, todo: Plan) -> str:
        """Stage the set and have it validated; returns why it could not be validated before it is live."""
        refused = ""
        for _attempt in range(_RESTAGE):
            swap.stage(todo)
            refused = self._validate(swap, todo) if self.checks else ""
            if not swap.is_stale():
                return refused
        raise RunError(f"nothing was changed: {self.wanted.directory} was changed by others while it was being staged")

    def _validate(self, swap: Swap, todo: Plan) -> str:
        from ansible_collections.minato.fleet.plugins.module_utils._config_tree_check import (
            lay_directory,
            lay_files,
            validate,
        )

        def lay_out() -> None:
            if swap.staged:
                lay_directory(swap.staged, self.wanted.directory)
            else:
                lay_files(todo.changes, view, self.accounts)

        view = self.store.at("view")
        os.makedirs(view, mode=0o700, exist_ok=True)
        verdict = validate(self.checks, lay_out, self.store.release)
        if verdict.failed:
            raise RunError(f"validation failed, nothing was changed: {self._masked(str(verdict.failed))}")
        return verdict.refused

    def _check_in_place(self, swap: Swap, refused: str) -> None:
        """Validate what is live already, as no private view was to be had; undo it where it fails."""
        from ansible_collections.minato.fleet.plugins.module_utils._config_tree_check import first_failure

        self.warn(f"no mount namespace on this host ({refused}): the set was validated after its swap, not before")
        failure = first_failure(self.checks)
        if failure is None:
            swap.commit()
            return
        swap.undo()
        swap.close()
        raise RunError(
            f"validation failed, the old set is back in place (no mount namespace: {refused}; so it was validated "
            f"after the swap, the service was not reloaded): {self._masked(str(failure))}"
        )

    def _reload(self, swap: Swap) -> None:
        failure = self._tell(self.reload)
        if not failure:
            return
        swap.undo()
        again = self._tell(self.reload)
        swap.close()
        now = (
            f"reloading the old set failed too, the service has what it last loaded, if it runs at all: {again}"
            if again
            else "the old set was reloaded and is serving"
        )
        raise RunError(f"reload failed, the old set is back in place: {failure}; {now}")

    def _masked(self, text: str) -> str:
        from ansible_collections.minato.fleet.plugins.module_utils._config_tree_diff import secret_values

        for secret in secret_values(self.known):
            text = text.replace(secret, "********")
        return text
