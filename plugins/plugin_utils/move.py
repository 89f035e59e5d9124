# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The move of an app to another host: what it takes, what stands in its way, and what the inventory is to say after."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.minato.fleet.plugins.plugin_utils import catalog, contract_fleet, schemas, wiring
from ansible_collections.minato.fleet.plugins.plugin_utils.catalog import App
from ansible_collections.minato.fleet.plugins.plugin_utils.wiring import Item

Hosts = t.Mapping[str, t.Mapping[str, t.Any]]


def move(apps: t.Any, name: str, to: str, hosts: Hosts) -> Item:
    """The move of one app.

    Args:
        apps: The catalog (``fleet_apps``).
        name: The app.
        to: The host that it moves to.
        hosts: Every host's variables, by its name. Read are ``fleet_app_names``, ``fleet_forwards`` and the address.

    Returns:
        ``problems``, a sentence each, and where there is none: ``leaves``, the host that runs it; ``types``, the groups
        that the new host has to be in; ``variables``, of both hosts afterwards; ``probe``, a request that the app
        answers: ``name``, ``path``, ``status`` (a regular expression), ``address``; ``says``, the inventory that is to
        be written, a line each.
    """
    listed = schemas.plain(apps)
    problems = catalog.schema_problems(listed)
    by_name = {} if problems else {app["name"]: catalog.complete(app) for app in listed}
    if not problems and name not in by_name:
        problems = [f"app: {catalog.unknown_app(name, by_name)}"]
    if not problems:
        problems = list(_problems(by_name[name], to, hosts))
    if problems:
        return {"problems": problems}
    return {"problems": [], **_moved(by_name[name], to, hosts)}


def _problems(app: App, to: str, hosts: Hosts) -> t.Iterator[str]:
    name, leaves = app["name"], _hosts_of(app, hosts)
    if to not in hosts:
        near = schemas.nearest(to, hosts)
        yield f"to: {to} is no host of the inventory. Write {near or 'one of: ' + ', '.join(sorted(hosts))}."
    elif to in leaves:
        yield f"to: {name} is one of the apps of {to} already. Name another host."
    if len(leaves) != 1:
        where = ", ".join(leaves) or "no host"
        yield f"app: {name} runs on {where}, and only an app of one host can be moved. Change fleet_app_names instead."
    if app["serves_tls"] or not app["routes"]:
        yield f"app: {name} has no routes that a web server answers, so nothing could pass its requests on meanwhile."
    if app["shared_dirs"]:
        yield (
            f"app: {name} keeps data on its host ({', '.join(app['shared_dirs'])}), which would be left behind."
            " Move them to a place that both hosts reach, and take them out of shared_dirs."
        )
    if app["generated_secrets"]:
        keys = ", ".join(app["generated_secrets"])
        yield (
            f"app: {name} has secrets that its host made ({keys}), and another would make others."
            f" Move them to `secrets`, and give them their values in fleet_secrets.{name}."
        )


def _hosts_of(app: App, hosts: Hosts) -> list[str]:
    return [str(host) for host, variables in hosts.items() if app["name"] in _names(variables)]


def _names(variables: t.Mapping[str, t.Any]) -> list[str]:
    return [str(name) for name in variables.get("fleet_app_names") or []]


def _moved(app: App, to: str, hosts: Hosts) -> Item:
    leaves = _hosts_of(app, hosts)[0]
    old, new = hosts[leaves], hosts[to]
    stay = [name for name in _names(old) if name != app["name"]]
    forwards = {**schemas.plain(old.get("fleet_forwards") or {}), app["name"]: to}
    names = [*_names(new), app["name"]]
    types = [f"type_{app['runtime']}", "type_web", *(["type_redis"] if app["redis"] else [])]
    return {
        "leaves": leaves,
        "types": types,
        "variables": {
            leaves: {"fleet_app_names": stay, "fleet_forwards": forwards, "fleet_leaving_app_names": [app["name"]]},
            to: {
                "fleet_app_names": names,
                "fleet_forwards": schemas.plain(new.get("fleet_forwards") or {}),
                "fleet_leaving_app_names": [],
            },
        },
        "probe": {**wiring.probe(app), "address": contract_fleet.address(new)},
        "says": [
            f"{leaves}: fleet_app_names: {json.dumps(stay)}",
            f"{leaves}: fleet_forwards: {json.dumps(forwards)}",
            f"{to}: fleet_app_names: {json.dumps(names)}",
            f"{to}: in the groups {', '.join(types)}",
        ],
    }
