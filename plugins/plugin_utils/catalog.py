# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The catalog of apps (``fleet_apps``), held against the fleet's schema and completed with its defaults."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.minato.fleet.plugins.plugin_utils import schemas

App = dict[str, t.Any]

# What an app of a runtime has where it says nothing.
RUNTIME_DEFAULTS: dict[str, dict[str, str]] = {
    "node": {"process_manager": "pm2", "install": "npm ci --omit=dev"},
    "python": {"process_manager": "systemd"},
}
# How far the port that an app's second slot has by default is from that of the first.
STANDBY_OFFSET = 100
# What an app has that comes as an artifact: it is built.
ARTIFACT_DEFAULTS = {"install": "", "repository": ""}


def app_schema() -> schemas.Schema:
    return t.cast(schemas.Schema, schemas.schema()["$defs"]["app"])


def schema_problems(apps: t.Any) -> list[str]:
    """One sentence for each place where the catalog breaks its schema: the app, the key, and what to write instead."""
    if not isinstance(apps, list):
        return ["fleet_apps must be a list of apps. Write one entry for each app, beginning with `- name:`."]
    found: list[str] = []
    for error in schemas.errors(apps, {"items": {"$ref": "#/$defs/app"}}):
        index, *place = list(error.absolute_path)
        found += schemas.sentences(error, _label(apps[index], index), place, app_schema())
    return found


def _label(app: t.Any, index: int) -> str:
    """How messages call an app: its name, or its place in the list while it has none."""
    name = app.get("name") if isinstance(app, Mapping) else None
    return name if isinstance(name, str) and name else f"fleet_apps[{index}]"


def complete(app: App) -> App:
    """The app with every key that has a default filled in. Needs an app without schema problems."""
    completed = schemas.complete(schemas.plain(app), app_schema())
    behind_web = bool(completed["routes"]) and not completed["serves_tls"]
    worked_out = {"switch": "beside" if behind_web else "restart", "standby_port": completed["port"] + STANDBY_OFFSET}
    built = ARTIFACT_DEFAULTS if "artifact" in completed else {}
    return {**RUNTIME_DEFAULTS[completed["runtime"]], **worked_out, **built, **completed}


def select_apps(apps: t.Any, names: t.Any, versions: Mapping[str, str] | None = None) -> list[App]:
    """The apps of one host, complete, in the order in which the host names them.

    Args:
        apps: The catalog (``fleet_apps``).
        names: The host's ``fleet_app_names``.
        versions: Versions for this run, by the app's name, in place of the catalog's.

    Raises:
        AnsibleFilterError: The catalog breaks its schema, or a name is not in it.
    """
    if not names:
        return []
    listed = schemas.plain(apps)
    problems = schema_problems(listed)
    by_name = {app["name"]: app for app in listed} if not problems else {}
    if not problems:
        problems = [unknown_app(name, by_name) for name in names if name not in by_name]
    if problems:
        raise AnsibleFilterError("fleet_apps: " + " ".join(problems))
    own = {name: {"version": version} for name, version in (versions or {}).items()}
    return [complete({**by_name[str(name)], **own.get(str(name), {})}) for name in names]


def unknown_app(name: str, known: Iterable[str]) -> str:
    """The sentence about an app that a host names and the catalog lacks."""
    names = sorted(known)
    near = schemas.nearest(name, names)
    remedy = (
        f"Write {near} instead" if near else f"Add it to fleet_apps, or name one of: {', '.join(names) or 'none yet'}"
    )
    return f"{name} is not an app of the catalog. {remedy}."
