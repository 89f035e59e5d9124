# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app's own commands at the named points of a deploy. Nothing here touches anything."""

from __future__ import annotations

import difflib
from typing import Any, Mapping, NamedTuple

#: In the order in which a deploy comes to them.
POINTS = (
    "before_fetch",
    "before_build",
    "after_build",
    "before_migrate",
    "before_start",
    "before_switch",
    "after_switch",
    "on_failure",
)
AT_HOME = ("before_fetch", "on_failure")  # there may be no release to run in
TIMEOUT = 60  # seconds
KEYS = ("command", "timeout")


class Hook(NamedTuple):
    """``timeout``: seconds."""

    command: str
    timeout: int


def find(hooks: Mapping[str, Any], point: str | None) -> Hook | None:
    """The hook at a point, or None where the app has none there."""
    given = hooks.get(point) if point else None
    return Hook(str(given["command"]), int(given.get("timeout", TIMEOUT))) if given else None


def mistakes(hooks: Mapping[str, Any]) -> list[str]:
    """What is wrong with an app's hooks, a sentence for each."""
    found = []
    for point, given in hooks.items():
        if point not in POINTS:
            found.append(f"hooks: there is no point {point}{_nearest(point, POINTS)}")
        elif not isinstance(given, dict):
            found.append(f"hooks: {point} must be a mapping: write {point}: {{command: …}}")
        else:
            found += [f"hooks: {point} {mistake}" for mistake in _wrong(given)]
    return found


def _wrong(hook: Mapping[str, Any]) -> list[str]:
    found = [f"has an unknown key, {key}{_nearest(key, KEYS)}" for key in hook if key not in KEYS]
    command, timeout = hook.get("command"), hook.get("timeout", TIMEOUT)
    if not isinstance(command, str) or not command.strip():
        found.append("needs a command")
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 1:
        found.append("has a timeout that is no number of seconds: write 1 or more")
    return found


def _nearest(name: object, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    return f": did you mean {near[0]}?" if near else ": write one of " + ", ".join(known)


def variables(app: str, release_id: str, commit: str, point: str) -> dict[str, str]:
    """What a hook is told of the deploy."""
    return {"FLEET_APP": app, "FLEET_RELEASE": release_id, "FLEET_COMMIT": commit, "FLEET_POINT": point}
