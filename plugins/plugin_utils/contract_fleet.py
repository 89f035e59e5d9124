# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the rules of the contract are given: the fleet as plain data, and the sums that several of them need."""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ansible_collections.minato.fleet.plugins.plugin_utils import schemas, wiring
from ansible_collections.minato.fleet.plugins.plugin_utils.catalog import App

MEGABYTES = {"M": 1, "G": 1024}


def megabytes(size: str) -> int:
    """``600M`` is 600, ``2G`` is 2048."""
    return int(size[:-1]) * MEGABYTES[size[-1]]


def keyed_ports(app: App) -> Iterator[tuple[str, int]]:
    """Each port of an app, with the key of the catalog that gives it."""
    for slot, key in zip(wiring.slots(app), ("port", "standby_port"), strict=False):
        yield from ((key, port) for port in wiring.ports(app, slot))


def _names(value: t.Any) -> tuple[str, ...]:
    return tuple(str(name) for name in value or [])


def address(variables: t.Mapping[str, t.Any]) -> str:
    """At which address other hosts reach a host, by its variables; empty where they do not say it."""
    named = (variables.get(key) for key in ("fleet_address", "private_ip_address", "ansible_host"))
    return next((str(value) for value in named if value), "")


def _complete_redis(value: t.Any) -> t.Mapping[str, t.Any]:
    rule = schemas.schema()["$defs"]["redis_server"]
    return t.cast("t.Mapping[str, t.Any]", schemas.complete(schemas.plain(value or {}), rule))


@dataclass(frozen=True)
class Host:
    """One host: its name, groups and address, the names of its apps, of those that are leaving it and of those under
    maintenance (which may be other hosts'), the hosts that it forwards apps to, its RAM in MB (None where nobody knows
    it), its fleet_redis, its fleet_balancer, and what of the cloud that says of it: each empty where there is none."""

    name: str
    groups: tuple[str, ...]
    address: str
    app_names: tuple[str, ...]
    leaving: tuple[str, ...]
    forwards: t.Mapping[str, str]
    maintenance: tuple[str, ...]
    memory_mb: int | None
    redis: t.Mapping[str, t.Any]
    balancer: t.Mapping[str, t.Any]
    provider: str
    region: str
    instance_id: str

    @classmethod
    def of(cls, name: str, variables: t.Mapping[str, t.Any]) -> Host:
        """From the host's variables."""
        memory = variables.get("fleet_memory_mb") or (variables.get("ansible_facts") or {}).get("memtotal_mb")
        return cls(
            name=name,
            groups=_names(variables.get("group_names")),
            address=address(variables),
            app_names=_names(variables.get("fleet_app_names")),
            leaving=_names(variables.get("fleet_leaving_app_names")),
            forwards={str(app): str(to) for app, to in (variables.get("fleet_forwards") or {}).items()},
            maintenance=_names(variables.get("fleet_maintenance_apps")),
            memory_mb=memory,
            redis=_complete_redis(variables.get("fleet_redis")),
            balancer=schemas.plain(variables.get("fleet_balancer") or {}),
            provider=str(variables.get("fleet_provider") or ""),
            region=str(variables.get("fleet_region") or ""),
            instance_id=str(variables.get("instance_id") or ""),
        )

    @property
    def types(self) -> list[str]:
        return [group.removeprefix("type_") for group in self.groups if group.startswith("type_")]


@dataclass(frozen=True)
class Fleet:
    """Complete apps, hosts, secrets by app and name, and database servers by inventory name.

    ``everywhere`` names every host of the inventory: those that the run leaves out too.
    """

    apps: list[App]
    hosts: list[Host]
    secrets: t.Mapping[str, t.Any]
    databases: t.Mapping[str, t.Any]
    base_memory: str
    everywhere: tuple[str, ...]

    @functools.cached_property
    def by_name(self) -> dict[str, App]:
        return {app["name"]: app for app in self.apps}

    @functools.cached_property
    def used(self) -> list[App]:
        """The apps that some host runs."""
        names = {name for host in self.hosts for name in host.app_names}
        return [app for app in self.by_name.values() if app["name"] in names]

    def apps_of(self, host: Host) -> list[App]:
        """The apps of a host that the catalog has, each once."""
        return [self.by_name[name] for name in dict.fromkeys(host.app_names) if name in self.by_name]

    def hosts_of(self, app: App) -> list[Host]:
        return [host for host in self.hosts if app["name"] in host.app_names]

    def forwarded_by(self, host: Host) -> list[App]:
        """The apps of the catalog that a host forwards."""
        return [self.by_name[name] for name in host.forwards if name in self.by_name]

    def answered_by(self, host: Host) -> list[App]:
        """The apps whose names lead to a host: its own that no other forwards to it, and those that it forwards."""
        forwarded_here = {name for other in self.hosts for name, to in other.forwards.items() if to == host.name}
        own = [app for app in self.apps_of(host) if app["name"] not in forwarded_here]
        return [*own, *self.forwarded_by(host)]


Rule = Callable[[Fleet], Iterator[str]]
