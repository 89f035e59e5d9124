# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each service's facts say, in one form: a machine's addresses, its ``fleet_*`` variables, its slim facts."""

from __future__ import annotations

import operator
import re
import typing as t
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ansible_collections.minato.fleet.plugins.plugin_utils.aws_facts import Facts, moment, walk

# The facts that a host keeps unless all are asked for. Everything else is there for expressions, names and filters.
SLIM: dict[str, tuple[str, ...]] = {
    "ec2": (
        *("instance_id", "image_id", "key_name", "private_ip_address", "public_ip_address", "public_dns_name"),
        *("subnet_id", "vpc_id", "ssm_inventory"),
    ),
    "lightsail": ("blueprint_id", "key_name", "private_ip_address", "public_ip_address"),
    "lightsail_database": ("publicly_accessible",),
    "rds": ("publicly_accessible", "multi_az"),
}
# What an EC2 answer is read for in any case; an empty mapping is all below that name.
WANTED_EC2: dict[str, t.Any] = {
    **{name: {} for name in SLIM["ec2"]},
    **{
        name: {}
        for name in ("tags", "placement", "state", "instance_type", "security_groups", "cpu_options", "ipv6_address")
    },
    "network_interfaces": {"association": {"ip_owner_id": {}}, "ipv6_addresses": {"ipv6_address": {}}},
}
LISTS = re.compile(r"[\s,+]+")


@dataclass
class Part:
    """What one service of one region of one account answered."""

    service: str
    account: str
    region: str
    records: list[Facts]
    # By kind: what further calls told, by the id that records refer to.
    details: dict[str, dict[str, t.Any]] = field(default_factory=dict)


@dataclass
class Machine:
    """One instance or database."""

    service: str
    account: str
    region: str
    identity: str
    name: str
    facts: Facts
    slim: Facts
    fleet: Facts
    addresses: dict[str, str]
    group_names: list[str]
    tags: dict[str, str]
    snapshot_at: float | None = None
    host_keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.account}, {self.region}" if self.account else self.region
        return f"{self.identity} ({self.service}, {place})"


def machines(part: Part) -> Iterator[Machine]:
    """The machines of a part, in the order of their ids; one at a time, because there may be thousands."""
    identity = {"ec2": "instance_id", "rds": "db_instance_arn"}.get(part.service, "arn")
    for record in sorted(part.records, key=operator.itemgetter(identity)):
        yield _MAKERS[part.service](part, record)


def _machine(part: Part, facts: Facts, identity: str, name: str, zone: str, fleet: Facts, **more: t.Any) -> Machine:
    """What holds for every service: tags, groups, place."""
    tags: dict[str, str] = facts.get("tags") or {}
    facts.setdefault("placement", {"availability_zone": zone})["region"] = part.region
    common: Facts = {"fleet_provider": part.service, "fleet_region": part.region}
    groups = [f"provider_{part.service}", f"region_{part.region}"]
    if zone:
        common["fleet_zone"] = zone
    if part.account:
        common["fleet_account"] = part.account
        groups.append(f"account_{part.account}")
    if tags.get("env"):
        common["fleet_env"] = tags["env"]
        groups.append(f"env_{tags['env']}")
    groups += [f"type_{kind}" for kind in listed(tags.get("host_type"))]
    database = part.service in ("lightsail_database", "rds")
    # A database belongs to apps, and runs none.
    apps = [] if database else listed(tags.get("apps"))
    if apps:
        common["fleet_app_names"] = apps
        groups += [f"app_{app}" for app in apps]
    if tags:
        common["fleet_tags"] = tags
    plan = more.pop("plan", None)
    if plan:
        groups.append(plan)
    if database and "type_database" not in groups:
        groups.append("type_database")
    common.update((key, value) for key, value in fleet.items() if value not in (None, ""))
    slim = {key: facts[key] for key in SLIM[part.service] if facts.get(key) not in (None, "", [])}
    return Machine(
        service=part.service,
        account=part.account,
        region=part.region,
        identity=identity,
        name=name,
        facts=facts,
        slim=slim,
        fleet=common,
        group_names=list(dict.fromkeys(groups)),
        tags=tags,
        addresses={way: address for way, address in more.pop("addresses", {}).items() if address},
        **more,
    )


def listed(text: str | None) -> list[str]:
    """A tag with several values: separated by space, comma or plus; each once."""
    return list(dict.fromkeys(word for word in LISTS.split(text or "") if word))


def _ec2(part: Part, facts: Facts) -> Machine:
    kind = facts.get("instance_type", "")
    hardware = part.details.get("types", {}).get(kind, {})
    owners = walk(facts, ("network_interfaces", "association", "ip_owner_id")) or "amazon"
    cores = facts.get("cpu_options") or {}
    security = [group["group_id"] for group in facts.get("security_groups") or []]
    rules = part.details.get("ports")
    ipv6 = facts.get("ipv6_address") or walk(facts, ("network_interfaces", "ipv6_addresses", "ipv6_address"))
    if part.details.get("ssm"):
        facts["ssm_inventory"] = part.details["ssm"].get(facts["instance_id"], {})
    return _machine(
        part,
        facts,
        identity=facts["instance_id"],
        name=(facts.get("tags") or {}).get("Name") or facts["instance_id"],
        zone=walk(facts, ("placement", "availability_zone")) or "",
        plan=f"instance_type_{kind}",
        fleet={
            "fleet_instance_type": kind,
            "fleet_state": walk(facts, ("state", "name")),
            "fleet_memory_mb": hardware.get("memory_mb"),
            "fleet_vcpus": (cores.get("core_count", 0) * cores.get("threads_per_core", 1)) or hardware.get("vcpus"),
            "fleet_disk_gb": part.details.get("disks", {}).get(facts["instance_id"]),
            "fleet_cloud_ports": None if rules is None else merge_ports([rules.get(name, []) for name in security]),
            # An address that Amazon owns is lost when the instance stops.
            "fleet_static_ip": any(owner != "amazon" for owner in ([owners] if isinstance(owners, str) else owners)),
        },
        addresses={
            "public_ipv4": facts.get("public_ip_address"),
            "private_ipv4": facts.get("private_ip_address"),
            "ipv6": ipv6[0] if isinstance(ipv6, list) and ipv6 else ipv6,
            "dns": facts.get("public_dns_name") or facts.get("private_dns_name"),
            "ssm": facts["instance_id"],
        },
    )


def _lightsail(part: Part, facts: Facts) -> Machine:
    hardware = facts.get("hardware") or {}
    networking = facts.get("networking") or {}
    bundle = part.details.get("bundles", {}).get(facts.get("bundle_id", ""), {})
    add_ons = {one.get("name"): one.get("status") for one in facts.get("add_ons") or []}
    disks = hardware.get("disks") or []
    health = {walk(facts, (check, "status")) for check in ("instance_status", "system_status")} - {None}
    facts["key_name"] = facts.get("ssh_key_name")
    return _machine(
        part,
        facts,
        identity=facts["arn"],
        name=facts["name"],
        zone=walk(facts, ("location", "availability_zone")) or "",
        plan=f"bundle_{facts.get('bundle_id', '')}",
        fleet={
            "fleet_bundle": facts.get("bundle_id"),
            "fleet_state": walk(facts, ("state", "name")),
            "fleet_memory_mb": _megabytes(hardware.get("ram_size_in_gb")),
            "fleet_vcpus": hardware.get("cpu_count"),
            "fleet_disk_gb": sum(disk.get("size_in_gb", 0) for disk in disks) or None,
            "fleet_price_usd": bundle.get("price"),
            "fleet_transfer_gb": walk(networking, ("monthly_transfer", "gb_per_month_allocated")),
            "fleet_cloud_ports": merge_ports([[_lightsail_port(rule) for rule in networking.get("ports") or []]]),
            "fleet_static_ip": bool(facts.get("is_static_ip")),
            "fleet_auto_snapshot": add_ons.get("AutoSnapshot") in ("Enabled", "Enabling"),
            "fleet_health": next(
                (one for one in ("impaired", "insufficient-data", "initializing", "ok") if one in health), None
            ),
            "ansible_user": facts.get("username"),
        },
        addresses={
            "public_ipv4": facts.get("public_ip_address"),
            "private_ipv4": facts.get("private_ip_address"),
            "ipv6": next(iter(facts.get("ipv6_addresses") or []), None),
        },
        snapshot_at=part.details.get("snapshots", {}).get(facts["name"]),
        host_keys=tuple(part.details.get("keys", {}).get(facts["name"], ())),
    )


def _lightsail_database(part: Part, facts: Facts) -> Machine:
    hardware = facts.get("hardware") or {}
    bundle = part.details.get("bundles", {}).get(facts.get("relational_database_bundle_id", ""), {})
    endpoint = facts.get("master_endpoint") or {}
    return _machine(
        part,
        facts,
        identity=facts["arn"],
        name=facts["name"],
        zone=walk(facts, ("location", "availability_zone")) or "",
        plan=f"bundle_{facts.get('relational_database_bundle_id', '')}",
        fleet={
            "ansible_connection": "local",
            "fleet_bundle": facts.get("relational_database_bundle_id"),
            "fleet_state": facts.get("state"),
            "fleet_endpoint": _endpoint(
                endpoint.get("address"),
                endpoint.get("port"),
                facts.get("engine"),
                facts.get("engine_version"),
                facts.get("ca_certificate_identifier"),
                facts.get("master_username"),
            ),
            "fleet_memory_mb": _megabytes(hardware.get("ram_size_in_gb")),
            "fleet_vcpus": hardware.get("cpu_count"),
            "fleet_disk_gb": hardware.get("disk_size_in_gb"),
            "fleet_price_usd": bundle.get("price"),
            "fleet_transfer_gb": bundle.get("transfer_per_month_in_gb"),
            "fleet_auto_snapshot": bool(facts.get("backup_retention_enabled")),
        },
        addresses={"dns": endpoint.get("address")},
        snapshot_at=moment(facts.get("latest_restorable_time")),
    )


def _rds(part: Part, facts: Facts) -> Machine:
    facts["tags"] = facts.pop("tag_list", {})
    endpoint = facts.get("endpoint") or {}
    kind = facts.get("db_instance_class", "")
    return _machine(
        part,
        facts,
        identity=facts["db_instance_arn"],
        name=facts["db_instance_identifier"],
        zone=facts.get("availability_zone") or "",
        plan=f"instance_type_{kind}",
        fleet={
            "ansible_connection": "local",
            "fleet_instance_type": kind,
            "fleet_state": facts.get("db_instance_status"),
            "fleet_endpoint": _endpoint(
                endpoint.get("address"),
                endpoint.get("port"),
                facts.get("engine"),
                facts.get("engine_version"),
                facts.get("ca_certificate_identifier"),
                facts.get("master_username"),
            ),
            "fleet_disk_gb": facts.get("allocated_storage"),
            "fleet_auto_snapshot": bool(facts.get("backup_retention_period")),
        },
        addresses={"dns": endpoint.get("address")},
        snapshot_at=moment(facts.get("latest_restorable_time")),
    )


_MAKERS = {"ec2": _ec2, "lightsail": _lightsail, "lightsail_database": _lightsail_database, "rds": _rds}


def _endpoint(host: t.Any, port: t.Any, engine: t.Any, version: t.Any, ca: t.Any, admin: t.Any) -> Facts | None:
    """A database that is just being made has no address yet."""
    found = {"host": host, "port": port, "engine": engine, "version": version, "ca": ca, "admin_user": admin}
    return {key: value for key, value in found.items() if value is not None} if host else None


def _megabytes(gigabytes: float | None) -> int | None:
    return None if gigabytes is None else int(gigabytes * 1024)


def _lightsail_port(rule: Facts) -> Facts:
    sources = [*rule.get("cidrs", []), *rule.get("ipv6_cidrs", []), *rule.get("cidr_list_aliases", [])]
    return port(rule.get("protocol", "all"), rule.get("from_port"), rule.get("to_port"), sources)


def security_group_ports(group: Facts) -> list[Facts]:
    """The ports that a security group lets in."""
    found = []
    for rule in group.get("ip_permissions") or []:
        sources = [
            *(one["cidr_ip"] for one in rule.get("ip_ranges") or []),
            *(one["cidr_ipv6"] for one in rule.get("ipv6_ranges") or []),
            *(one["prefix_list_id"] for one in rule.get("prefix_list_ids") or []),
            *(one["group_id"] for one in rule.get("user_id_group_pairs") or [] if one.get("group_id")),
        ]
        found.append(port(rule.get("ip_protocol", "-1"), rule.get("from_port"), rule.get("to_port"), sources))
    return found


def port(protocol: str, first: int | None, last: int | None, sources: list[str]) -> Facts:
    """One rule: a port, a range as text, or all."""
    protocol = "all" if protocol == "-1" else protocol
    number: int | str = "all"
    if protocol in ("tcp", "udp") and first is not None and (first, last) != (0, 65535):
        number = first if last in (first, None) else f"{first}-{last}"
    return {"port": number, "protocol": protocol, "sources": sources}


def merge_ports(rules: Iterable[list[Facts]]) -> list[Facts]:
    """One entry for each port and protocol, in their order, with all its sources."""
    merged: dict[tuple[str, str], Facts] = {}
    for rule in (one for group in rules for one in group):
        entry = merged.setdefault((str(rule["port"]), rule["protocol"]), {**rule, "sources": []})
        entry["sources"] = sorted({*entry["sources"], *rule["sources"]})
    return sorted(merged.values(), key=_port_order)


def _port_order(rule: Facts) -> tuple[int, str, str]:
    first = str(rule["port"]).split("-", maxsplit=1)[0]
    return (int(first) if first.isdecimal() else 65536, str(rule["port"]), rule["protocol"])
