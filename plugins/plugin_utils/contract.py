# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract: everything that can be known to be wrong before the first change on any host."""

from __future__ import annotations

import typing as t
from collections import defaultdict
from collections.abc import Iterator

from ansible_collections.minato.fleet.plugins.plugin_utils import catalog, wiring
from ansible_collections.minato.fleet.plugins.plugin_utils.catalog import App

Host = dict[str, t.Any]
Hosts = dict[str, Host]

MEGABYTES = {"M": 1, "G": 1024}


def megabytes(size: str) -> int:
    """``600M`` is 600, ``2G`` is 2048."""
    return int(size[:-1]) * MEGABYTES[size[-1]]


def problems(
    apps: t.Any, hosts: t.Mapping[str, t.Any], secrets: t.Any, databases: t.Any, base_memory: str
) -> list[str]:
    """Every breach of the contract, one sentence each: where, what, and what to write instead.

    Args:
        apps: The catalog (``fleet_apps``).
        hosts: Each host's variables by its name. Read are ``fleet_app_names``, ``fleet_memory_mb`` (its RAM in MB, as
            its cloud says) and, without that, the fact ``memtotal_mb``.
        secrets: ``fleet_secrets``: values by app and name.
        databases: The servers of the group type_database, by inventory name.
        base_memory: What the operating system and the shared services take of a host's RAM, as ``600M``.
    """
    listed = catalog.plain(apps)
    found = catalog.schema_problems(listed)
    if found:
        return found  # what follows reads keys that the schema has to vouch for
    complete = [catalog.complete(app) for app in listed]
    by_name = {app["name"]: app for app in complete}
    known_hosts = {str(name): _host(variables) for name, variables in sorted(hosts.items())}
    used = {name for host in known_hosts.values() for name in host["apps"]}
    found += _repeated_names(complete)
    found += _unknown_apps(known_hosts, by_name)
    for name in sorted(used & set(by_name)):
        found += _app_needs(by_name[name], secrets, databases)
    for name, host in known_hosts.items():
        here = [by_name[app] for app in host["apps"] if app in by_name]
        found += _repeated_ports(name, here)
        found += _repeated_routes(name, here)
        found += _node_versions(name, here)
        found += _memory(name, host["memory_mb"], here, base_memory)
    return found


def _host(variables: t.Mapping[str, t.Any]) -> Host:
    names = variables.get("fleet_app_names") or []
    memory = variables.get("fleet_memory_mb") or (variables.get("ansible_facts") or {}).get("memtotal_mb")
    return {"apps": [str(name) for name in names], "memory_mb": memory}


def _repeated_names(apps: list[App]) -> Iterator[str]:
    names = [app["name"] for app in apps]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: fleet_apps has {names.count(name)} apps of this name. Give each a name of its own."


def _unknown_apps(hosts: Hosts, known: dict[str, App]) -> Iterator[str]:
    for host, facts in hosts.items():
        for name in facts["apps"]:
            if name not in known:
                yield f"{host}: fleet_app_names: {catalog.unknown_app(name, known)}"


def _app_needs(app: App, secrets: t.Any, databases: t.Any) -> Iterator[str]:
    name = app["name"]
    values = secrets.get(name) or {}
    database = app.get("database")
    needed = list(app["secrets"])
    if database:
        needed += [database["password"], database["migrator_password"]]
        if database["server"] not in databases:
            near = catalog.nearest(database["server"], databases)
            remedy = f"Write {near} instead" if near else "Add it to the group type_database of the inventory"
            yield f"{name}: database.server: {database['server']} is not a database server. {remedy}."
    for key in dict.fromkeys(needed):
        value = values.get(key)
        if not isinstance(value, str) or not value.strip():
            yield wiring.missing_secret(name, key)


def _repeated_ports(host: str, apps: list[App]) -> Iterator[str]:
    by_port = defaultdict(list)
    for app in apps:
        by_port[app["port"]].append(app["name"])
    for port, names in sorted(by_port.items()):
        if len(names) > 1:
            free = min(set(range(port + 1, 65536)) - set(by_port), default=1024)
            yield f"{names[-1]}: port: {port} is taken on {host} by {names[0]}. Write another, for example {free}."


def _repeated_routes(host: str, apps: list[App]) -> Iterator[str]:
    by_route = defaultdict(list)
    for app in apps:
        for route in app["routes"]:
            by_route[route["host"] + route["path"]].append(app["name"])
    for route, names in sorted(by_route.items()):
        if len(names) > 1:
            yield f"{names[-1]}: routes: {route} is claimed on {host} by {names[0]} too. Give one of them another path."


def _node_versions(host: str, apps: list[App]) -> Iterator[str]:
    by_major: dict[str, App] = {}
    for app in apps:
        first = by_major.setdefault(wiring.node_major(app), app)
        if app["node_version"] != first["node_version"]:
            yield (
                f"{app['name']}: node_version: {app['node_version']} is asked for on {host},"
                f" and {first['name']} asks for {first['node_version']} there."
                " A host has one version of each major: write the same for both."
            )


def _memory(host: str, memory_mb: int | None, apps: list[App], base_memory: str) -> Iterator[str]:
    parts = [(app["name"], app["instances"], app["memory_max"]) for app in apps]
    total = megabytes(base_memory) + sum(count * megabytes(size) for _name, count, size in parts)
    if memory_mb is None or not apps or total <= memory_mb:
        return
    terms = [f"{name} {count} x {size}" if count > 1 else f"{name} {size}" for name, count, size in parts]
    largest = max(parts, key=lambda part: part[1] * megabytes(part[2]))[0]
    yield (
        f"{host}: memory_max: {' + '.join(terms)} + base {base_memory} = {total} MB,"
        f" and the host has {memory_mb} MB of RAM."
        f" Lower it (the largest is {largest}), move an app to another host, or take a host of {total} MB or more."
    )
