# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract's rules about each host: its types, and whether its apps fit it and each other."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator

from ansible_collections.minato.fleet.plugins.plugin_utils import balancing, capacity, catalog, schemas, wiring
from ansible_collections.minato.fleet.plugins.plugin_utils.catalog import App
from ansible_collections.minato.fleet.plugins.plugin_utils.contract_fleet import (
    Fleet,
    Host,
    Rule,
    keyed_ports,
)

# The group type_<runtime> runs apps of that runtime; type_web serves routes; type_database is a server elsewhere.
TYPES = ("node", "python", "web", "redis", "database")
RUNTIMES = ("node", "python")
LOCAL_ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):([0-9]{1,5})(?![0-9])")


def unknown_apps(fleet: Fleet) -> Iterator[str]:
    for host in fleet.hosts:
        for name, count in Counter(host.app_names).items():
            if name not in fleet.by_name:
                yield f"{host.name}: fleet_app_names: {catalog.unknown_app(name, fleet.by_name)}"
            elif count > 1:
                yield f"{host.name}: fleet_app_names has {name} {count} times. Write it once."


def types(fleet: Fleet) -> Iterator[str]:
    """Every host type is known and has work; every app runs on a host whose types run and serve it."""
    for host in fleet.hosts:
        for kind in host.types:
            if kind not in TYPES:
                near = schemas.nearest(kind, TYPES)
                remedy = f"Write type_{near}" if near else f"Known are type_{', type_'.join(TYPES)}"
                yield f"{host.name}: the group type_{kind} is no host type. {remedy}."
        apps = fleet.apps_of(host)
        idle = [f"type_{kind}" for kind in host.types if kind in (*RUNTIMES, "web")]
        if idle and not host.app_names and not host.forwards:
            yield (
                f"{host.name}: it is of {' and '.join(idle)}, and runs no app. Name its apps in fleet_app_names,"
                " or take it out of the group."
            )
        for app in apps:
            if app["runtime"] not in host.types:
                yield (
                    f"{host.name}: {app['name']} needs a host of type_{app['runtime']}, and this one is not."
                    f" Add it to the group type_{app['runtime']}, or take the app off it."
                )
        for app in apps:
            if app["redis"] and "redis" not in host.types:
                yield (
                    f"{host.name}: {app['name']} uses Redis, and this host has none."
                    " Add it to the group type_redis, or take `redis` out of the app."
                )
            if app["serves_tls"] and "web" in host.types:
                yield (
                    f"{host.name}: {app['name']} serves TLS itself (serves_tls), and the host has a web server too."
                    " Take the host out of the group type_web, or serves_tls out of the app."
                )
        if "redis" in host.types and "password" not in host.redis:
            yield (
                f"{host.name}: it is of type_redis, and fleet_redis is missing."
                " Write fleet_redis.password for it, in a vault file."
            )
        routed = [app["name"] for app in apps if app["routes"] and not app["serves_tls"]]
        if routed and "web" not in host.types:
            yield (
                f"{host.name}: the routes of {', '.join(routed)} lead here, and nothing would serve them."
                " Add it to the group type_web, or take the routes out."
            )
        if apps and not routed and "web" in host.types and not host.forwards:
            yield (
                f"{host.name}: it is of type_web, and none of its apps has a route. Give one of them routes,"
                " or take it out of the group."
            )


def ports(fleet: Fleet) -> Iterator[str]:
    """No two apps of a host take one port. It is said once for two apps: standby ports clash where the ports do."""
    for host in fleet.hosts:
        taken: dict[int, str] = {}
        told: set[tuple[str, str]] = set()
        apps = fleet.apps_of(host)
        every = {port for app in apps for port in wiring.every_port(app)}
        for app in apps:
            for key, port in keyed_ports(app):
                first = taken.setdefault(port, app["name"])
                if first != app["name"] and (first, app["name"]) not in told:
                    told.add((first, app["name"]))
                    free = min(set(range(port + 1, 65536)) - every, default=1024)
                    clash = f"{port} is taken on {host.name} by {first}"
                    yield f"{app['name']}: {key}: {clash}. Write another, for example {free}."


def process_names(fleet: Fleet) -> Iterator[str]:
    """What an app's process in its second slot is called is no other app's name."""
    for host in fleet.hosts:
        for app in fleet.apps_of(host):
            for name in (wiring.slot_name(app, slot) for slot in wiring.slots(app)[1:]):
                if name in host.app_names and name in fleet.by_name:
                    yield (
                        f"{name}: name: {app['name']} is switched between two processes on {host.name}, and its second"
                        f" is called {name} too. Give one of the apps another name, or write `switch: restart` for"
                        f" {app['name']}."
                    )


def fixed_addresses(fleet: Fleet) -> Iterator[str]:
    """No app is told the port of a neighbour that changes it with each release."""
    for host in fleet.hosts:
        apps = fleet.apps_of(host)
        for app, other in ((app, other) for app in apps for other in apps if other is not app):
            if len(wiring.slots(other)) == 1:
                continue
            for name, value in app["env"].items():
                found = LOCAL_ADDRESS.search(str(value))
                if found and int(found[1]) in wiring.every_port(other):
                    yield (
                        f"{app['name']}: env.{name}: {found[0]} is a port of {other['name']} on {host.name}, which"
                        " takes another with each release. Write the address of one of its routes, or"
                        f" `switch: restart` for {other['name']}."
                    )


def routes(fleet: Fleet) -> Iterator[str]:
    """No two apps of a host claim one route, nor two that only differ in the last slash."""
    for host in fleet.hosts:
        claimed: dict[str, tuple[App, str]] = {}
        for app in [*fleet.apps_of(host), *fleet.forwarded_by(host)]:
            for route in app["routes"]:
                address = route["host"] + route["path"]
                first, other = claimed.setdefault(address.rstrip("/"), (app, address))
                if first is app:
                    continue
                if address == other:
                    yield (
                        f"{app['name']}: routes: {address} is claimed on {host.name} by {first['name']} too."
                        " Give one of them another path."
                    )
                else:
                    yield (
                        f"{app['name']}: routes: {address} would never be asked on {host.name}: {other} of"
                        f" {first['name']} is the same to the web server. Give one of them another path."
                    )


def forwards(fleet: Fleet) -> Iterator[str]:
    """What a host forwards is an app of another host, whose web server can be reached and serves it."""
    hosts = {host.name: host for host in fleet.hosts}
    for host in fleet.hosts:
        where = f"{host.name}: fleet_forwards"
        if host.forwards and "web" not in host.types:
            yield f"{where}: nothing here would forward. Add the host to the group type_web, or take this out."
        for name, to in host.forwards.items():
            if name not in fleet.by_name:
                yield f"{where}: {catalog.unknown_app(name, fleet.by_name)}"
            elif to not in fleet.everywhere:
                near = schemas.nearest(to, fleet.everywhere)
                yield f"{where}: {to} is no host of the inventory. Write {near or 'the host that runs ' + name}."
            elif name in host.app_names:
                yield f"{where}: {name} runs on this host itself. Take it out, or take it out of fleet_app_names."
            elif to in hosts:
                yield from _forward_problems(where, fleet.by_name[name], hosts[to])


def _forward_problems(where: str, app: App, to: Host) -> Iterator[str]:
    if app["name"] not in to.app_names:
        yield f"{where}: {app['name']} does not run on {to.name}. Add it to fleet_app_names there, or name its host."
    if not app["routes"] or app["serves_tls"]:
        yield f"{where}: {app['name']} has no routes that a web server answers. Take it out."
    try:
        ipaddress.ip_address(to.address)
    except ValueError:
        yield (
            f"{where}: {to.name} has {to.address or 'nothing'} for its address, which is no IP address."
            f" Write fleet_address for {to.name}: the one at which {where.partition(':')[0]} reaches it."
        )


def balancers(fleet: Fleet) -> Iterator[str]:
    """Each load balancer knows its host: by which name, in which region, and that it can have it at all."""
    for host in (host for host in fleet.hosts if host.balancer):
        where = f"{host.name}: fleet_balancer"
        whole = balancing.balancer(host.balancer, host.name, host.instance_id, host.region)
        if "lightsail" in whole and host.provider not in ("", "lightsail"):
            yield (
                f"{where}.lightsail: the host is of {host.provider}, and a load balancer of Lightsail has none but"
                " Lightsail's. Write target_group, or take fleet_balancer out."
            )
        if "lightsail" in whole and whole["port"]:
            yield f"{where}.port: a load balancer of Lightsail has one port for all its instances. Take it out."
        if not whole["instance"]:
            yield (
                f"{where}.instance: the host has no instance_id, which the inventory plugin aws_fleet gives to hosts of"
                " EC2. Write the id here, or take fleet_balancer out."
            )
        if not whole["region"]:
            yield (
                f"{where}.region is missing, and the host has no fleet_region, which the inventory plugin aws_fleet"
                ' gives. Write it, for example: `region: "ap-northeast-1"`.'
            )


def node_versions(fleet: Fleet) -> Iterator[str]:
    for host in fleet.hosts:
        by_major: dict[str, App] = {}
        for app in (app for app in fleet.apps_of(host) if app["runtime"] == "node"):
            first = by_major.setdefault(wiring.node_major(app), app)
            if app["node_version"] != first["node_version"]:
                yield (
                    f"{app['name']}: node_version: {app['node_version']} is asked for on {host.name},"
                    f" and {first['name']} asks for {first['node_version']} there."
                    " A host has one version of each major: write the same for both."
                )


def memory(fleet: Fleet) -> Iterator[str]:
    """The processes of all apps and the base fit the host's RAM, and so does each build beside them with the swap."""
    for host in fleet.hosts:
        if host.memory_mb is None or not host.app_names:
            continue
        parts = capacity.memory_parts(fleet, host)
        total = capacity.total(parts)
        terms = " + ".join(map(str, parts))
        if total > host.memory_mb:
            largest = max(parts[:-1], key=lambda part: part.total, default=parts[-1]).name
            saved = capacity.switch_remedy(parts, 0, host.memory_mb, "MB")
            yield (
                f"{host.name}: memory_max: {terms} = {total} MB, and the host has {host.memory_mb} MB of RAM."
                f" Lower it (the largest is {largest}),{saved} move an app to another host,"
                f" or take a larger one: {capacity.size_for(total)} would do."
            )
            continue
        build, swap = capacity.largest_build(fleet, host), capacity.swap(host.memory_mb)
        if build and total + build.total > host.memory_mb + swap:
            yield (
                f"{build.name}: build_memory_max: {build.size} beside {terms} is {total + build.total} MB,"
                f" and {host.name} has {host.memory_mb} MB of RAM and {swap} MB of swap."
                " Write less, or take a larger host."
            )


INVENTORY: tuple[Rule, ...] = (unknown_apps, types)
RULES: tuple[Rule, ...] = (ports, process_names, fixed_addresses, routes, forwards, balancers, node_versions, memory)
