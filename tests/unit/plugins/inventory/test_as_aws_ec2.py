# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""amazon.aws's own plugin, given the same file on the same cloud, finds the same hosts, groups and addresses."""

from __future__ import annotations

import typing as t
from pathlib import Path

import boto3
import pytest
import yaml
from ansible_collections.minato.fleet.plugins.plugin_utils import aws_facts, aws_names
from ansible_collections.minato.fleet.tests.unit.plugins.inventory.conftest import Cloud, Inventory, Read

CASES = yaml.safe_load(Path(__file__).with_name("as_aws_ec2.yml").read_text(encoding="utf-8"))
REGIONS = ["eu-west-1", "us-east-1"]
ADDRESSES = ("ansible_host", "private_ip_address", "public_ip_address", "public_dns_name")


def told(read: Read, names: tuple[str, ...]) -> dict[str, t.Any]:
    """The variables of a name, by host."""
    return {host: {name: read.variables(host).get(name) for name in names} for host in read.hosts()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_the_same_file(case: dict[str, t.Any], inventory: Inventory) -> None:
    said = {"regions": REGIONS, **case["file"]}
    theirs = inventory(plugin="amazon.aws.aws_ec2", **said)
    # What is ours alone: further services, groups of our own, an address where the file says none, stopped hosts.
    ours = inventory(**said, services=["ec2"], built_in_groups=False, include_stopped=True)
    assert ours.hosts() == theirs.hosts()
    assert ours.groups() == theirs.groups()
    names: tuple[str, ...] = ADDRESSES if "ansible_host" in said.get("compose", {}) else ADDRESSES[1:]
    if "hostvars_prefix" in said or "hostvars_suffix" in said:
        names = tuple(f"{said.get('hostvars_prefix', '')}{name}{said.get('hostvars_suffix', '')}" for name in names[1:])
    assert told(ours, names) == told(theirs, names)
    composed = tuple(said.get("compose", {}))
    assert told(ours, composed) == told(theirs, composed)
    assert len(theirs.hosts()) == case["hosts"], "the case shows nothing if there are no hosts"
    assert len(theirs.groups()) == case["groups"]


def test_the_same_facts(inventory: Inventory) -> None:
    said: dict[str, t.Any] = {"regions": REGIONS, "hostnames": ["tag:Name"]}
    theirs = inventory(plugin="amazon.aws.aws_ec2", **said)
    ours = inventory(**said, services=["ec2"], include_stopped=True, full_facts=True, connect_with="dns")
    for name in theirs.hosts():
        found = ours.variables(name)
        for key, value in theirs.variables(name).items():
            assert found[key] == plain(value), (name, key)


def plain(value: t.Any) -> t.Any:
    """Times as text, as Ansible writes them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def test_filters_mean_the_same(cloud: Cloud) -> None:
    """Each filter that we work out here lets through what EC2 itself lets through."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    client = boto3.client("ec2", region_name="eu-west-1", endpoint_url=cloud.url, **keys)
    everything = client.describe_instances()["Reservations"]
    facts = [aws_facts.snake(instance) for each in everything for instance in each["Instances"]]
    for name in ("instance-type", "private-ip-address", "vpc-id", "image-id", "architecture"):
        for one in facts:
            value = aws_facts.walk(one, aws_names.PATHS[name])
            asked = [{"Name": name, "Values": value if isinstance(value, list) else [str(value)]}]
            answer = client.describe_instances(Filters=asked)["Reservations"]
            there = {instance["InstanceId"] for each in answer for instance in each["Instances"]}
            here = {other["instance_id"] for other in facts if aws_facts.walk(other, aws_names.PATHS[name]) == value}
            assert here == there, name
