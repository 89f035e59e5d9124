# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What further calls tell of a region's instances and databases. None is "not asked for"."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

from ansible_collections.minato.fleet.plugins.plugin_utils.aws_clients import Ask, CallError
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_facts import Facts, moment, snake
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_machines import security_group_ports
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import Options
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_pages import api_filters, at_once, lightsail, pages

Detail = Callable[[Ask, Options, list[Facts]], "dict[str, t.Any] | None"]


def _types(ask: Ask, options: Options, records: list[Facts]) -> dict[str, t.Any] | None:
    if "hardware" not in options.details:
        return None
    names = sorted({record["instance_type"] for record in records})
    found = {}
    for begin in range(0, len(names), 100):
        for kind in ask("describe_instance_types", InstanceTypes=names[begin : begin + 100])["InstanceTypes"]:
            memory = kind.get("MemoryInfo", {}).get("SizeInMiB")
            found[kind["InstanceType"]] = {"memory_mb": memory, "vcpus": kind.get("VCpuInfo", {}).get("DefaultVCpus")}
    return found


def _security_groups(ask: Ask, options: Options, records: list[Facts]) -> dict[str, t.Any] | None:
    if "ports" not in options.details:
        return None
    names = sorted({group["group_id"] for record in records for group in record.get("security_groups") or []})
    found = {}
    for begin in range(0, len(names), 200):
        asked = api_filters({"group-id": names[begin : begin + 200]})
        for page in pages(ask, "describe_security_groups", "NextToken", "NextToken", Filters=asked, MaxResults=1000):
            for group in page["SecurityGroups"]:
                found[group["GroupId"]] = security_group_ports(snake(group))
    return found


def _disks(ask: Ask, options: Options, _records: list[Facts]) -> dict[str, t.Any] | None:
    if "disks" not in options.details:
        return None
    found: dict[str, int] = {}
    for page in pages(ask, "describe_volumes", "NextToken", "NextToken", MaxResults=500):
        for volume in page["Volumes"]:
            for attached in volume.get("Attachments") or []:
                identity = attached.get("InstanceId", "")
                found[identity] = found.get(identity, 0) + volume["Size"]
    return found


def _bundles(operation: str) -> Detail:
    def detail(ask: Ask, options: Options, _records: list[Facts]) -> dict[str, t.Any] | None:
        if "prices" not in options.details:
            return None
        return {one["bundle_id"]: one for one in lightsail(ask, operation, "bundles", includeInactive=True)}

    return detail


def _snapshots(ask: Ask, options: Options, records: list[Facts]) -> dict[str, t.Any] | None:
    """When the newest automatic snapshot was taken: one call for each instance that has them taken."""
    if "snapshots" not in options.details:
        return None
    with_them = [
        record["name"]
        for record in records
        if any(
            one.get("name") == "AutoSnapshot" and one.get("status") == "Enabled" for one in record.get("add_ons") or []
        )
    ]

    def newest(name: str) -> float | None:
        taken = snake(ask("get_auto_snapshots", resourceName=name)["autoSnapshots"])
        return max((moment(one["created_at"]) or 0 for one in taken if one.get("status") == "Success"), default=None)

    return _for_each(with_them, newest, options)


def _host_keys(ask: Ask, options: Options, records: list[Facts]) -> dict[str, t.Any] | None:
    """The host keys that Lightsail has seen. The answer brings a private key as well, which is dropped here."""
    if not options.known_hosts:
        return None
    running = [record["name"] for record in records if record["state"]["name"] == "running"]

    def keys(name: str) -> list[str]:
        details = ask("get_instance_access_details", instanceName=name, protocol="ssh")["accessDetails"]
        return sorted(f"{key['algorithm']} {key['publicKey']}" for key in details.get("hostKeys") or [])

    return _for_each(running, keys, options)


def _for_each(names: list[str], do: Callable[[str], t.Any], options: Options) -> dict[str, t.Any]:
    found = {}
    for name, result in at_once(names, do, options.workers, options.region_timeout):
        if isinstance(result, TimeoutError):
            raise CallError("silent", f"{name} does not answer within {options.region_timeout:g} s.")
        if isinstance(result, Exception):
            raise result
        found[name] = result
    return found


def _ssm(ask: Ask, options: Options, records: list[Facts]) -> dict[str, t.Any] | None:
    """What the Systems Manager knows of instances; it answers for forty at a time."""
    if not options.use_ssm_inventory:
        return None
    names = [record["instance_id"] for record in records]
    found = {}
    for begin in range(0, len(names), 40):
        asked = [{"Key": "AWS:InstanceInformation.InstanceId", "Values": names[begin : begin + 40]}]
        for page in pages(ask, "get_inventory", "NextToken", "NextToken", api="ssm", Filters=asked):
            for entity in page.get("Entities") or []:
                content = entity.get("Data", {}).get("AWS:InstanceInformation", {}).get("Content")
                if content:
                    found[entity["Id"]] = snake(content[0])
    return found


DETAILS: dict[str, tuple[tuple[str, Detail], ...]] = {
    "lightsail": (("bundles", _bundles("get_bundles")), ("snapshots", _snapshots), ("keys", _host_keys)),
    "lightsail_database": (("bundles", _bundles("get_relational_database_bundles")),),
    "ec2": (("types", _types), ("ports", _security_groups), ("disks", _disks), ("ssm", _ssm)),
    "rds": (),
}
