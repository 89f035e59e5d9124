# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From machines to hosts: names, groups and variables, worked out in Python."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.minato.fleet.plugins.plugin_utils import aws_names, catalog
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_constructed import (
    MARKERS,
    Room,
    composed,
    constructed,
    safe,
)
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_expressions import names_used
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_hosts import Host, some
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_machines import WANTED_EC2, Machine, Part, machines
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import Options

SLIM_BYTES = 1200
# What holds ssh to the host's keys, and the age of the newest snapshot, come last.
SSH_BYTES = 250
# amazon.aws names all its hosts so; playbooks written for it go on working.
FAMILIAR = {"ec2": "aws_ec2", "rds": "aws_rds"}
SSM = {"ansible_connection": "amazon.aws.aws_ssm"}


@dataclass
class Built:
    """The hosts of one part, and what there is to say about them."""

    hosts: list[Host]
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def build(part: Part, room: Room) -> Built:
    """The hosts of one part."""
    built = Built([])
    cut: list[str] = []
    odd: list[str] = []
    for machine in machines(part):
        if not aws_names.chosen(machine, room.options):
            continue
        named = aws_names.names(machine, room.options, room.template, room.route53)
        if not named:
            continue
        if any(marker in value for value in machine.tags.values() for marker in MARKERS):
            odd.append(named[0])
        built.problems += _unknown_apps(machine, named[0], room.options)
        for name in named:
            built.hosts.append(_host(machine, name, room, built.warnings, cut))
    if odd:
        built.warnings.append(f"{some(odd)}: a tag has template marks ({{{{ or {{%) in its value. It stays text.")
    if cut:
        built.warnings.append(
            f"{some(cut)}: more than {SLIM_BYTES} bytes of variables; the longest tags, then the cloud's ports, were"
            " left out. Write full_facts: true to keep all."
        )
    return built


def wanted(options: Options) -> dict[str, t.Any]:
    """What to read of EC2's answers: the slim facts, and what names, filters and expressions look at. Empty is all."""
    if options.full_facts:
        return {}
    found = dict(WANTED_EC2)
    filters = [
        name for one in (options.filters["ec2"], *options.include_filters, *options.exclude_filters) for name in one
    ]
    named = [name for one in options.hostnames for name in _sources(one)] or ["dns-name", "private-dns-name"]
    for name in (*filters, *named):
        path = aws_names.PATHS.get(name) or (name.split(".")[0].replace("-", "_"),)
        found[path[0]] = {}
    if options.route53_enabled:
        found["private_dns_name"] = {}
    prefix, suffix = options.hostvars_prefix, options.hostvars_suffix
    expressions = [*options.compose.values(), *options.groups.values()]
    expressions += [
        text for entry in options.keyed_groups for text in (entry.get("key"), entry.get("parent_group") or "''")
    ]
    for expression in expressions:
        names = names_used(expression)
        if names is None:
            return {}
        found.update((name.removeprefix(prefix).removesuffix(suffix), {}) for name in names)
    return found


def _sources(preference: t.Any) -> list[str]:
    """The filters' names that a preference for a name looks at."""
    if isinstance(preference, str):
        return [preference.partition("|")[0].rstrip()]
    return [source for key in ("name", "prefix") if key in preference for source in _sources(preference[key])]


def _unknown_apps(machine: Machine, name: str, options: Options) -> list[str]:
    if options.known_apps is None:
        return []
    apps = machine.fleet.get("fleet_app_names", [])
    return [
        f"{name}: the tag apps: {catalog.unknown_app(app, options.known_apps)}"
        for app in apps
        if app not in options.known_apps
    ]


def _host(machine: Machine, name: str, room: Room, warnings: list[str], cut: list[str]) -> Host:
    options = room.options
    seen = _affixed(machine, options)
    existing = room.existing(name)
    own = composed(room, seen, name)
    groups = [FAMILIAR[machine.service]] if machine.service in FAMILIAR else []
    if options.built_in_groups:
        groups += [safe(group) for group in machine.group_names]
    parents: list[tuple[str, str]] = []
    if options.groups or options.keyed_groups:
        known = {
            **seen,
            **existing,
            **own,
            "inventory_hostname": name,
            "inventory_hostname_short": name.split(".")[0],
        }
        more, parents = constructed(room, known, name, groups)
        groups += more
    if options.full_facts:
        variables = {**seen, **machine.fleet}
    else:
        variables = {**_with_affixes(machine.slim, options), **machine.fleet}
    variables.update(_connection(machine, name, groups, options, warnings, "ansible_host" in own))
    if not options.full_facts and _slimmed(variables, SLIM_BYTES - (SSH_BYTES if machine.host_keys else 0)):
        cut.append(name)
    variables.update(own)
    return Host(
        name=name,
        identity=str(machine),
        variables=variables,
        groups=list(dict.fromkeys(groups)),
        parents=parents,
        snapshot_at=machine.snapshot_at,
        host_keys=list(machine.host_keys),
        addresses=[
            machine.addresses[way] for way in ("public_ipv4", "private_ipv4", "ipv6") if way in machine.addresses
        ],
    )


def _with_affixes(facts: Mapping[str, t.Any], options: Options) -> dict[str, t.Any]:
    prefix, suffix = options.hostvars_prefix, options.hostvars_suffix
    if not prefix and not suffix:
        return dict(facts)
    return {f"{prefix}{name}{suffix}": value for name, value in facts.items()}


def _affixed(machine: Machine, options: Options) -> dict[str, t.Any]:
    """What expressions see: all facts that were read, and the fleet's variables."""
    return {**_with_affixes(machine.facts, options), **machine.fleet}


def _slimmed(variables: dict[str, t.Any], limit: int) -> bool:
    """Leave out what is longest until a host's variables fit; the tags that the fleet reads stay. Whether any was."""
    if sum(map(len, map(str, variables.values()))) < limit // 2:
        return False
    size = len(json.dumps(variables))
    if size <= limit:
        return False
    tags = dict(variables.get("fleet_tags", {}))
    removable = sorted(tags, key=lambda tag: (-len(tag) - len(str(tags[tag])), tag))
    while size > limit and removable:
        tag = removable.pop(0)
        if tag not in ("env", "host_type", "apps", "Name"):
            del tags[tag]
            size = len(json.dumps({**variables, "fleet_tags": tags}))
    variables["fleet_tags"] = tags
    if size > limit:
        variables.pop("fleet_cloud_ports", None)
    return True


def _connection(
    machine: Machine, name: str, groups: list[str], options: Options, warnings: list[str], composed: bool
) -> dict[str, t.Any]:
    """How to reach a host: the first group of connect_with that it is in decides."""
    if composed or machine.fleet.get("ansible_connection") == "local":
        return {}
    asked = next((group for group in options.connect_with if group in groups), "default")
    ways = options.connect_with[asked]
    for way in ways:
        if way not in machine.addresses:
            continue
        if way == "ssm":
            region = {"ansible_aws_ssm_region": machine.region}
            return {**SSM, **region, "ansible_aws_ssm_instance_id": machine.addresses["ssm"]}
        return {"ansible_host": machine.addresses[way]}
    warnings.append(f"{name}: it has no address for connect_with ({asked}: {', '.join(ways)}).")
    return {}
