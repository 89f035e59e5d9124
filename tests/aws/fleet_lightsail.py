"""The part of a fleet file that is Lightsail's."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.minato.fleet.tests.aws.fleet_items import FleetError, Item, ports_of, tags_of
from ansible_collections.minato.fleet.tests.aws.lightsail.calls import ONE_AT_A_TIME, call
from ansible_collections.minato.fleet.tests.aws.lightsail.errors import LightsailError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import (
    REGIONS,
    LightsailBackend,
    Resource,
    lightsail_backends,
)
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import (
    access,
    add_ons,
    databases,
    instances,
    load_balancers,
    snapshots,
    static_ips,
)
from ansible_collections.minato.fleet.tests.aws.settings import SETTINGS

BLUEPRINT, BUNDLE = "ubuntu_24_04", "small_3_0"
DATABASE_BLUEPRINT, DATABASE_BUNDLE = "postgres_16", "micro_2_0"
# What the API calls it, and what it is called here.
ADDRESSES = {"public_ip": "publicIpAddress", "private_ip": "privateIpAddress", "ipv6": "ipv6Addresses"}


@contextlib.contextmanager
def _at_once() -> Iterator[None]:
    """What is in a fleet is there, and not on its way."""
    delay, SETTINGS.delay = SETTINGS.delay, 0
    try:
        yield
    finally:
        SETTINGS.delay = delay


def _kind(put: Callable[[LightsailBackend, Item], None]) -> Callable[[str, str, Item], None]:
    @functools.wraps(put)
    def into(account: str, region: str, item: Item) -> None:
        if region not in REGIONS:
            raise FleetError(f"Lightsail is not in the region {region}.")
        cloud = lightsail_backends[account][region]
        with ONE_AT_A_TIME, _at_once():
            try:
                put(cloud, item)
            except LightsailError as error:
                raise FleetError(str(error)) from error
            cloud.settle()

    return into


@_kind
def _key_pair(cloud: LightsailBackend, item: Item) -> None:
    call(cloud, "ImportKeyPair", {"keyPairName": item["name"], "publicKeyBase64": item["public_key"]})
    _tag(cloud, item)


@_kind
def _static_ip(cloud: LightsailBackend, item: Item) -> None:
    static_ips.allocate(cloud, item["name"], item.get("address", ""))


@_kind
def _domain(cloud: LightsailBackend, item: Item) -> None:
    call(cloud, "CreateDomain", {"domainName": item["name"], "tags": tags_of(item)})


@_kind
def _instance(cloud: LightsailBackend, item: Item) -> None:
    name = item["name"]
    zone = cloud.region_name + item.get("zone", "a")
    [instance] = instances.launch(
        cloud,
        [name],
        zone,
        item.get("blueprint", BLUEPRINT),
        item.get("bundle", BUNDLE),
        item.get("key_pair", ""),
        tags_of(item),
        ip_type=item.get("ip_address_type", "dualstack"),
    )
    instance.update({member: item[key] for key, member in ADDRESSES.items() if key in item})
    instance["username"] = item.get("username", instance["username"])
    _age(instance, item)
    if "ports" in item:
        call(cloud, "PutInstancePublicPorts", {"instanceName": name, "portInfos": ports_of(item)})
    if "static_ip" in item:
        held = cloud.resources["StaticIp"]
        static = held.get(item["static_ip"]) or static_ips.allocate(cloud, item["static_ip"], item.get("public_ip", ""))
        call(cloud, "AttachStaticIp", {"staticIpName": static["name"], "instanceName": name})
    if "host_keys" in item:
        access.put_host_keys(cloud, instance, item["host_keys"])
    if "auto_snapshot" in item:
        daily = {"snapshotTimeOfDay": item["auto_snapshot"]}
        add_ons.enable(instance, {"addOnType": "AutoSnapshot", "autoSnapshotAddOnRequest": daily})
    for hours in item.get("auto_snapshot_ages", []):
        add_ons.add_auto_snapshot(cloud, instance, add_ons.hours_ago(hours))
    for each in item.get("snapshots", []):
        snapshots.take(cloud, instance, each["name"], tags_of(each))
        taken = cloud.get(snapshots.OF_INSTANCE, each["name"])
        taken.update(state="available", progress="100%")
        _age(taken, each)
    instances.put_state(instance, item.get("state", "running"))


@_kind
def _database(cloud: LightsailBackend, item: Item) -> None:
    database = databases.make(
        cloud,
        item["name"],
        cloud.region_name + item.get("zone", "a"),
        item.get("blueprint", DATABASE_BLUEPRINT),
        item.get("bundle", DATABASE_BUNDLE),
        item.get("database", "main"),
        item.get("user", "dbmasteruser"),
        item.get("password", ""),
        tags_of(item),
        item.get("public", False),
    )
    _age(database, item)
    database["caCertificateIdentifier"] = item.get("ca", database["caCertificateIdentifier"])
    databases.put_endpoint(cloud, database, item.get("address", ""), item.get("port", 0))
    for each in item.get("snapshots", []):
        databases.snapshot(cloud, database, each["name"], tags_of(each))
        taken = cloud.get(snapshots.OF_DATABASE, each["name"])
        taken["state"] = "available"
        _age(taken, each)
    database["state"] = item.get("state", "available")


@_kind
def _load_balancer(cloud: LightsailBackend, item: Item) -> None:
    wanted = {"loadBalancerName": item["name"], "instancePort": item.get("port", 80), "tags": tags_of(item)}
    call(cloud, "CreateLoadBalancer", {**wanted, "healthCheckPath": item.get("path", "/")})
    load_balancers.put_failing(cloud, cloud.get(load_balancers.KIND, item["name"]), item.get("failing", []))
    if item.get("instances"):
        attached = {"loadBalancerName": item["name"], "instanceNames": item["instances"]}
        call(cloud, "AttachInstancesToLoadBalancer", attached)


def _age(resource: Resource, item: Item) -> None:
    if "age_hours" in item:
        resource["createdAt"] = add_ons.hours_ago(item["age_hours"])


def _tag(cloud: LightsailBackend, item: Item) -> None:
    if item.get("tags"):
        call(cloud, "TagResource", {"resourceName": item["name"], "tags": tags_of(item)})


# In the order in which one needs the other.
KINDS: dict[str, Callable[[str, str, Item], Any]] = {
    "key_pairs": _key_pair,
    "static_ips": _static_ip,
    "instances": _instance,
    "load_balancers": _load_balancer,
    "databases": _database,
    "domains": _domain,
}
