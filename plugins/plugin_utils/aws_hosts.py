# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts as they go into Ansible's inventory: the part of the work that a run from the cache does as well."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import OptionError


@dataclass
class Host:
    """One host as it goes into the inventory, and into the cache."""

    name: str
    identity: str
    variables: dict[str, t.Any]
    groups: list[str]
    # Of its groups: those that user's entries put below another.
    parents: list[tuple[str, str]] = field(default_factory=list)
    snapshot_at: float | None = None
    host_keys: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


def merge(parts: Iterable[list[Host]], on_error: str) -> tuple[list[Host], list[str]]:
    """All hosts in one order that no thread, page or region decides, each name once."""
    found: dict[str, Host] = {}
    warnings: list[str] = []
    for hosts in parts:
        for host in hosts:
            first = found.get(host.name)
            if first is None:
                found[host.name] = host
                continue
            if first.identity == host.identity:
                continue
            say = (
                f"Two hosts would be named {host.name}: {first.identity} and {host.identity}."
                " Rename one, or put what tells them apart into hostnames"
            )
            if on_error == "fail":
                raise OptionError(f"{say}.")
            other = f"{host.name}_{_short(host.identity)}"
            warnings.append(f"{say}. The second is {other} in this run.")
            host.name = other
            found[other] = host
    return list(found.values()), warnings


def _short(identity: str) -> str:
    return identity.split(" ", 1)[0].rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def populate(data: t.Any, hosts: list[Host], now: float) -> None:
    """Hosts, groups and variables into Ansible's inventory, which is asked once for each and not for each pair."""
    members: dict[str, list[t.Any]] = {}
    parents: dict[tuple[str, str], None] = {}
    for host in hosts:
        data.add_host(host.name)
        entry = data.hosts[host.name]
        variables = host.variables
        if host.snapshot_at is not None:
            variables["fleet_auto_snapshot_age_hours"] = int(max(now - host.snapshot_at, 0) // 3600)
        # As they are: plain text of the cloud, which Ansible does not template.
        entry.vars.update(variables)
        for group in host.groups:
            members.setdefault(group, []).append(entry)
        for pair in host.parents:
            parents[pair] = None
    for group, entries in members.items():
        if group not in data.groups:
            data.add_group(group)
            _fill(data.groups[group], entries)
        else:
            for entry in entries:
                data.add_child(group, entry.name)
    for parent, child in parents:
        data.add_group(parent)
        data.add_child(parent, child)


def _fill(group: t.Any, entries: list[t.Any]) -> None:
    """A new group has no ancestors and no hosts: nothing needs looking up for each host."""
    group.hosts.extend(entries)
    for entry in entries:
        entry.groups.append(group)
