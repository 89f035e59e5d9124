# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a machine is called, and which machines are meant: names and filters speak EC2's filter language."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterable

from ansible.inventory.group import to_safe_group_name
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_facts import walk
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_machines import Machine, listed
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import RUNNING, STOPPED, Filter, Options

# EC2's name of a filter, and where its value lies among the facts.
_INTERFACE = {
    name: f"network_interfaces.{path}"
    for name, path in {
        "addresses.association.ip-owner-id": "private_ip_addresses.association.ip_owner_id",
        "addresses.association.public-ip": "private_ip_addresses.association.public_ip",
        "addresses.primary": "private_ip_addresses.primary",
        "addresses.private-ip-address": "private_ip_address",
        "association.ip-owner-id": "association.ip_owner_id",
        "association.public-ip": "association.public_ip",
        "attachment.attach-time": "attachment.attach_time",
        "attachment.attachment-id": "attachment.attachment_id",
        "attachment.delete-on-termination": "attachment.delete_on_termination",
        "attachment.device-index": "attachment.device_index",
        "attachment.status": "attachment.status",
        "description": "description",
        "group-id": "groups.group_id",
        "group-name": "groups.group_name",
        "ipv6-addresses.ipv6-address": "ipv6_addresses.ipv6_address",
        "mac-address": "mac_address",
        "network-interface-id": "network_interface_id",
        "owner-id": "owner_id",
        "private-dns-name": "private_dns_name",
        "source-dest-check": "source_dest_check",
        "status": "status",
        "subnet-id": "subnet_id",
        "vpc-id": "vpc_id",
    }.items()
}
_PATHS: dict[str, str] = {
    **{f"network-interface.{name}": path for name, path in _INTERFACE.items()},
    "network-interface.attachment.instance-id": "instance_id",
    "network-interface.attachment.instance-owner-id": "owner_id",
    "network-interface.availability-zone": "placement.availability_zone",
    "affinity": "placement.affinity",
    "architecture": "architecture",
    "availability-zone": "placement.availability_zone",
    "block-device-mapping.attach-time": "block_device_mappings.ebs.attach_time",
    "block-device-mapping.delete-on-termination": "block_device_mappings.ebs.delete_on_termination",
    "block-device-mapping.device-name": "block_device_mappings.device_name",
    "block-device-mapping.status": "block_device_mappings.ebs.status",
    "block-device-mapping.volume-id": "block_device_mappings.ebs.volume_id",
    "client-token": "client_token",
    "dns-name": "public_dns_name",
    "group-id": "groups.group_id",
    "group-name": "groups.group_name",
    "host-id": "placement.host_id",
    "hypervisor": "hypervisor",
    "iam-instance-profile.arn": "iam_instance_profile.arn",
    "image-id": "image_id",
    "instance-id": "instance_id",
    "instance-lifecycle": "instance_lifecycle",
    "instance-state-code": "state.code",
    "instance-state-name": "state.name",
    "instance-type": "instance_type",
    "instance.group-id": "security_groups.group_id",
    "instance.group-name": "security_groups.group_name",
    "ip-address": "public_ip_address",
    "kernel-id": "kernel_id",
    "key-name": "key_name",
    "launch-index": "ami_launch_index",
    "launch-time": "launch_time",
    "monitoring-state": "monitoring.state",
    "owner-id": "owner_id",
    "placement-group-name": "placement.group_name",
    "platform": "platform",
    "private-dns-name": "private_dns_name",
    "private-ip-address": "private_ip_address",
    "product-code": "product_codes.product_code_id",
    "product-code.type": "product_codes.product_code_type",
    "ramdisk-id": "ramdisk_id",
    "reason": "state_transition_reason",
    "requester-id": "requester_id",
    "reservation-id": "reservation_id",
    "root-device-name": "root_device_name",
    "root-device-type": "root_device_type",
    "source-dest-check": "source_dest_check",
    "spot-instance-request-id": "spot_instance_request_id",
    "state-reason-code": "state_reason.code",
    "state-reason-message": "state_reason.message",
    "subnet-id": "subnet_id",
    "tenancy": "placement.tenancy",
    "virtualization-type": "virtualization_type",
    "vpc-id": "vpc_id",
}
PATHS: dict[str, tuple[str, ...]] = {name: tuple(path.split(".")) for name, path in _PATHS.items()}
# Filters of our own: known without a call, and the same for every service.
OWN: dict[str, Callable[[Machine], list[t.Any]]] = {
    "name": lambda machine: [machine.name],
    "env": lambda machine: [machine.tags.get("env", "")],
    "type": lambda machine: [group[5:] for group in machine.group_names if group.startswith("type_")],
    "app": lambda machine: listed(machine.tags.get("apps")),
    "provider": lambda machine: [machine.service],
    "region": lambda machine: [machine.region],
    "account": lambda machine: [machine.account],
    "bundle": lambda machine: [machine.fleet.get("fleet_bundle", machine.fleet.get("fleet_instance_type", ""))],
    "static-ip": lambda machine: [machine.fleet.get("fleet_static_ip", False)],
}
STATES = "instance-state-name"
Template = Callable[[t.Any, str], t.Any]


def asks_api(name: str) -> bool:
    """Whether EC2 is to be asked for this filter; our own are worked out here."""
    return name not in OWN


def known_here(name: str) -> bool:
    """Whether a filter can be worked out here, without a call."""
    return name in OWN or name in PATHS or name.startswith("tag:") or name in ("tag-key", "tag-value")


def values(machine: Machine, name: str) -> list[t.Any]:
    """What a machine has for a filter; empty where it has nothing of the kind."""
    if name in OWN:
        return OWN[name](machine)
    if name.startswith("tag:"):
        return [machine.tags[name[4:]]] if name[4:] in machine.tags else []
    if name == "tag-key":
        return list(machine.tags)
    if name == "tag-value":
        return list(machine.tags.values())
    if name == STATES:
        return [machine.fleet.get("fleet_state", "")]
    found = walk(machine.facts, PATHS.get(name) or tuple(name.replace("-", "_").split(".")))
    return found if isinstance(found, list) else [] if found is None else [found]


def matches(machine: Machine, filters: Filter) -> bool:
    """Every filter holds, each by one of its values; ``*`` and ``?`` stand for what they do in EC2."""
    return all(
        any(_like(value, pattern) for value in values(machine, name) for pattern in patterns)
        for name, patterns in filters.items()
    )


def _like(value: t.Any, pattern: str) -> bool:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "*" not in pattern and "?" not in pattern:
        return text == pattern
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, text, re.DOTALL) is not None


def states(options: Options) -> list[str]:
    """The states of the instances that are hosts."""
    return [*RUNNING, *(STOPPED if options.include_stopped else ())]


def chosen(machine: Machine, options: Options) -> bool:
    """Whether a machine is a host of this inventory, as far as can be told here."""
    included = _wanted_by(options, machine.service)
    if not any(matches(machine, _with_states(machine, one, options)) for one in included):
        return False
    return not any(matches(machine, one) for one in options.exclude_filters if all(map(known_here, one)))


def _wanted_by(options: Options, service: str) -> list[Filter]:
    own = options.filters[service]
    included = [*([own] if own else []), *options.include_filters] or [{}]
    if service != "ec2":
        return included
    # EC2 has held the others already.
    return [{name: one for name, one in each.items() if known_here(name)} for each in included]


def _with_states(machine: Machine, filters: Filter, options: Options) -> Filter:
    if STATES in filters:
        return filters
    if machine.service in ("ec2", "lightsail"):
        return {**filters, STATES: states(options)}
    gone = ("deleting", "deleted", "failed", *(() if options.include_stopped else STOPPED))
    return {**filters, STATES: ["-"]} if machine.fleet.get("fleet_state") in gone else filters


# Names.


def names(machine: Machine, options: Options, template: Template, route53: dict[str, list[str]]) -> list[str]:
    """The name of a machine, or all that apply where several are asked for; none where nothing applies on EC2."""
    preferences: Iterable[t.Any] = options.hostnames or ("dns-name", "private-dns-name")
    if machine.service != "ec2" and not options.hostnames:
        return [_safe(machine.name)]
    found: list[str] = []
    if machine.service == "ec2" and route53:
        attributes = ("public_dns_name", "private_dns_name", "public_ip_address", "private_ip_address")
        named = {name for key in attributes for name in route53.get(machine.facts.get(key) or "", [])}
        found = [_safe(name) for name in sorted(named)]
        if found and not options.allow_duplicated_hosts:
            return found[:1]
    for preference in preferences:
        applied = _applied(machine, preference, template)
        if applied and not options.allow_duplicated_hosts:
            return [_safe(applied[0])]
        found += [_safe(name) for name in applied]
    # The cloud itself names what is no EC2 instance: such a host is never lost.
    return list(dict.fromkeys(found)) or ([] if machine.service == "ec2" else [_safe(machine.name)])


def _applied(machine: Machine, preference: t.Any, template: Template) -> list[str]:
    if isinstance(preference, str):
        return _preferred(machine, preference, template)
    found = _applied(machine, preference["name"], template)
    prefixes = _applied(machine, preference["prefix"], template) if "prefix" in preference else []
    if found and prefixes:
        return [f"{_safe(prefixes[0])}{preference.get('separator', '_')}{_safe(found[0])}"]
    return found


def _preferred(machine: Machine, preference: str, template: Template) -> list[str]:
    source, pipe, expression = preference.partition("|")
    source = source.rstrip() if pipe else source
    value: t.Any
    if source.startswith("tag:"):
        value = [name for tag in source[4:].split(",") if (name := _tag_name(machine, tag))]
        value = value if "," in source else (value[0] if value else [])
    elif source == "name":
        value = machine.name
    elif source in PATHS:
        value = walk(machine.facts, PATHS[source])
    else:
        value = source  # a text stands for itself
    if pipe and value:
        value = template(value, expression)
    return [str(one) for one in value if one] if isinstance(value, list) else [str(value)] if value else []


def _tag_name(machine: Machine, tag: str) -> str:
    key, given, value = tag.partition("=")
    if not given:
        return machine.tags.get(key, "")
    return f"{key}_{value}" if machine.tags.get(key) == value else ""


def _safe(name: str) -> str:
    return to_safe_group_name(name, force=True, silent=True) if ":" in name else name
