"""Instances and their life."""

from __future__ import annotations

import uuid
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail import catalogue
from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError, OperationFailureError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, Resource
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import ports
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.add_ons import checked as checked_add_on
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.tags import checked_tags
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.zones import letter_of

STATES = {"pending": 0, "running": 16, "shutting-down": 32, "stopping": 64, "stopped": 80}
DEFAULT_KEY_PAIR = "LightsailDefaultKeyPair"
IPV6_ONLY = "ipv6_"


@operation
def create_instances(
    cloud: LightsailBackend,
    instance_names: list[str],
    availability_zone: str,
    blueprint_id: str,
    bundle_id: str,
    custom_image_name: str = "",
    user_data: str = "",
    key_pair_name: str = "",
    tags: list[dict[str, str]] | None = None,
    add_ons: list[dict[str, Any]] | None = None,
    ip_address_type: str = "dualstack",
) -> dict[str, Any]:
    if custom_image_name:
        raise InvalidInputError("The parameter customImageName has been deprecated.")
    catalogue.choose(catalogue.blueprints(), blueprint_id, "blueprint")
    catalogue.choose(catalogue.bundles(cloud.region_name), bundle_id, "bundle")
    extras = key_pair_name, tags, add_ons, ip_address_type
    launched = launch(cloud, instance_names, availability_zone, blueprint_id, bundle_id, *extras)
    return {"operations": [_come_up(cloud, each, "CreateInstance") for each in launched]}


def launch(
    cloud: LightsailBackend,
    names: list[str],
    zone: str,
    blueprint: str,
    bundle: str,
    key_pair: str = "",
    tags: list[dict[str, str]] | None = None,
    wanted_add_ons: list[dict[str, Any]] | None = None,
    ip_type: str = "dualstack",
) -> list[Resource]:
    """Make instances, all of them or none; plan and image may be ones that are no longer sold."""
    letter = letter_of(cloud, zone)
    image = catalogue.choose(catalogue.blueprints(), blueprint, "blueprint", old=True)
    plan = catalogue.choose(catalogue.bundles(cloud.region_name), bundle, "bundle", old=True)
    if not names:
        raise InvalidInputError("Instance names must not be empty.")
    if image["platform"] not in plan["supportedPlatforms"]:
        raise InvalidInputError(f"The bundle {bundle} does not support the platform of {blueprint}.")
    _refuse_family(bundle, ip_type)
    if key_pair and key_pair != DEFAULT_KEY_PAIR:
        cloud.get("KeyPair", key_pair)
    tagged = checked_tags(tags or [])
    enabled = [checked_add_on(wanted) for wanted in wanted_add_ons or []]
    cloud.refuse_names(names)
    common = {
        "blueprintId": blueprint,
        "blueprintName": image["name"],
        "username": catalogue.username(blueprint),
        "sshKeyName": key_pair or DEFAULT_KEY_PAIR,
        "isStaticIp": False,
        "ipAddressType": ip_type,
    }
    launched = []
    for name in names:
        public, private, ipv6 = cloud.addresses()
        instance = cloud.add("Instance", name, letter, tags=list(tagged), **common)
        instance["supportCode"] = f"{cloud.account_id}/i-{uuid.uuid4().hex[:17]}"
        instance["privateIpAddress"] = private
        if ip_type != "ipv6":
            instance["publicIpAddress"] = public
        instance["ipv6Addresses"] = [] if ip_type == "ipv4" else [ipv6]
        instance["metadataOptions"] = {
            "state": "applied",
            "httpTokens": "optional",
            "httpEndpoint": "enabled",
            "httpPutResponseHopLimit": 1,
            "httpProtocolIpv6": "disabled",
        }
        put_bundle(instance, plan)
        ports.put(instance, ports.DEFAULT[image["platform"]])
        if enabled:
            instance["addOns"] = [dict(add_on) for add_on in enabled]
        put_state(instance, "running")
        launched.append(instance)
    return launched


def put_bundle(instance: Resource, plan: dict[str, Any]) -> None:
    """Give an instance the hardware of a plan."""
    disk = {
        "createdAt": instance["createdAt"],
        "sizeInGb": plan["diskSizeInGb"],
        "isSystemDisk": True,
        "iops": 100 + 3 * plan["diskSizeInGb"],
        "path": "/dev/sda1",
        "attachedTo": instance["name"],
        "attachmentState": "attached",
    }
    instance["bundleId"] = plan["bundleId"]
    instance["hardware"] = {"cpuCount": plan["cpuCount"], "disks": [disk], "ramSizeInGb": plan["ramSizeInGb"]}
    allocated = {"gbPerMonthAllocated": plan["transferPerMonthInGb"]}
    instance["networking"] = {**instance.get("networking", {"ports": []}), "monthlyTransfer": allocated}


def put_state(instance: Resource, name: str) -> None:
    """Let an instance be in a state."""
    instance["state"] = {"code": STATES[name], "name": name}


def _come_up(cloud: LightsailBackend, instance: Resource, what: str) -> Resource:
    put_state(instance, "pending")
    return cloud.begin(what, instance, lambda: put_state(instance, "running"))


def _in_state(cloud: LightsailBackend, name: str, *states: str) -> Resource:
    instance = cloud.get("Instance", name)
    if instance["state"]["name"] not in states:
        raise OperationFailureError(
            f"The instance {name} is {instance['state']['name']}; this needs it to be {' or '.join(states)}.",
            code="InvalidInstanceState",
        )
    return instance


@operation
def get_instance(cloud: LightsailBackend, instance_name: str, include_health_status: bool = False) -> dict[str, Any]:
    return {"instance": _with_health(cloud.get("Instance", instance_name), include_health_status)}


@operation
def get_instances(cloud: LightsailBackend, page_token: str = "", include_health_status: bool = False) -> dict[str, Any]:
    answer = cloud.page("instances", cloud.resources["Instance"].values(), page_token)
    answer["instances"] = [_with_health(each, include_health_status) for each in answer["instances"]]
    return answer


def _with_health(instance: Resource, wanted: bool) -> Resource:
    if not wanted:
        return instance
    status = {"running": ("ok", "passed"), "pending": ("initializing", "initializing")}
    overall, one = status.get(instance["state"]["name"], ("not-applicable", "insufficient-data"))
    check = {"status": overall, "details": [{"name": "reachability", "status": one}]}
    return {**instance, "instanceStatus": check, "systemStatus": check}


@operation
def get_instance_state(cloud: LightsailBackend, instance_name: str) -> dict[str, Any]:
    return {"state": cloud.get("Instance", instance_name)["state"]}


@operation
def start_instance(
    cloud: LightsailBackend, instance_name: str, attribute_updates: dict[str, str] | None = None
) -> dict[str, Any]:
    instance = _in_state(cloud, instance_name, "stopped")
    bundle = (attribute_updates or {}).get("bundleId")
    if bundle:
        put_bundle(instance, catalogue.choose(catalogue.bundles(cloud.region_name), bundle, "bundle"))
    if not instance["isStaticIp"] and "publicIpAddress" in instance:
        instance["publicIpAddress"] = cloud.addresses()[0]
    return {"operations": [_come_up(cloud, instance, "StartInstance")]}


@operation
def stop_instance(cloud: LightsailBackend, instance_name: str, force: bool = False) -> dict[str, Any]:
    instance = _in_state(cloud, instance_name, "running", *(["stopping"] if force else []))
    put_state(instance, "stopping")
    return {"operations": [cloud.begin("StopInstance", instance, lambda: put_state(instance, "stopped"))]}


@operation
def reboot_instance(cloud: LightsailBackend, instance_name: str) -> dict[str, Any]:
    return {"operations": [cloud.done("RebootInstance", _in_state(cloud, instance_name, "running"))]}


@operation
def delete_instance(cloud: LightsailBackend, instance_name: str, force_delete_add_ons: bool = False) -> dict[str, Any]:
    instance = _in_state(cloud, instance_name, "running", "stopped", "stopping")
    if instance.get("addOns") and not force_delete_add_ons:
        raise InvalidInputError(
            f"The instance {instance_name} has enabled add-ons. Disable them first, or set forceDeleteAddOns.",
            code="AddOnsEnabled",
        )
    for address in cloud.resources["StaticIp"].values():
        if address.get("attachedTo") == instance_name:
            address["isAttached"] = False
            del address["attachedTo"]
    put_state(instance, "shutting-down")
    return {"operations": [cloud.begin("DeleteInstance", instance, lambda: cloud.remove(instance))]}


@operation
def update_instance_metadata_options(
    cloud: LightsailBackend,
    instance_name: str,
    http_tokens: str = "",
    http_endpoint: str = "",
    http_put_response_hop_limit: int = 0,
    http_protocol_ipv6: str = "",
) -> dict[str, Any]:
    instance = _in_state(cloud, instance_name, "running", "stopped")
    options = instance["metadataOptions"]
    wanted = {
        "httpTokens": http_tokens,
        "httpEndpoint": http_endpoint,
        "httpPutResponseHopLimit": http_put_response_hop_limit,
        "httpProtocolIpv6": http_protocol_ipv6,
    }
    options.update({name: value for name, value in wanted.items() if value}, state="pending")
    done = cloud.begin("UpdateInstanceMetadataOptions", instance, lambda: options.update(state="applied"))
    return {"operation": done}


def _refuse_family(bundle: str, ip_type: str) -> None:
    if (IPV6_ONLY in bundle) != (ip_type == "ipv6"):
        raise InvalidInputError(f"The bundle {bundle} does not support the IP address type {ip_type}.")


@operation
def set_ip_address_type(
    cloud: LightsailBackend,
    resource_type: str,
    resource_name: str,
    ip_address_type: str,
    accept_bundle_update: bool = False,
) -> dict[str, Any]:
    if resource_type != "Instance":
        raise InvalidInputError(f"The emulated Lightsail has no {resource_type} whose IP address type can be set.")
    instance = _in_state(cloud, resource_name, "running", "stopped")
    if (ip_address_type == "ipv6") != (instance["ipAddressType"] == "ipv6"):
        if not accept_bundle_update:
            raise InvalidInputError("The bundle changes with this IP address type: set acceptBundleUpdate.")
        if instance["isStaticIp"]:
            raise InvalidInputError(f"Detach the static IP of {resource_name} first.")
        stem, rest = instance["bundleId"].replace("_" + IPV6_ONLY, "_").split("_", 1)
        bundle = f"{stem}_{IPV6_ONLY if ip_address_type == 'ipv6' else ''}{rest}"
        put_bundle(instance, catalogue.choose(catalogue.bundles(cloud.region_name), bundle, "bundle"))
    public, _private, ipv6 = cloud.addresses()
    if ip_address_type == "ipv6":
        instance.pop("publicIpAddress", None)
    else:
        instance.setdefault("publicIpAddress", public)
    instance["ipv6Addresses"] = [] if ip_address_type == "ipv4" else instance["ipv6Addresses"] or [ipv6]
    instance["ipAddressType"] = ip_address_type
    return {"operations": [cloud.done("SetIpAddressType", instance)]}
