"""Static IPs."""

from __future__ import annotations

from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError, OperationFailureError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, Resource
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation


def allocate(cloud: LightsailBackend, name: str, address: str = "") -> Resource:
    """Make one; the address can be given where it is known."""
    return cloud.add("StaticIp", name, ipAddress=address or cloud.addresses()[0], isAttached=False)


def attach(cloud: LightsailBackend, static: Resource, instance: Resource) -> None:
    """Let an instance have an address for good."""
    static.update(attachedTo=instance["name"], isAttached=True)
    instance.update(publicIpAddress=static["ipAddress"], isStaticIp=True)


@operation
def allocate_static_ip(cloud: LightsailBackend, static_ip_name: str) -> dict[str, Any]:
    return {"operations": [cloud.done("AllocateStaticIp", allocate(cloud, static_ip_name))]}


@operation
def attach_static_ip(cloud: LightsailBackend, static_ip_name: str, instance_name: str) -> dict[str, Any]:
    static, instance = cloud.get("StaticIp", static_ip_name), cloud.get("Instance", instance_name)
    if static["isAttached"]:
        raise InvalidInputError(f"The static IP {static_ip_name} is attached to {static['attachedTo']}.")
    if instance["isStaticIp"]:
        raise InvalidInputError(f"The instance {instance_name} has a static IP already: detach that first.")
    if instance["ipAddressType"] == "ipv6":
        raise InvalidInputError(f"The instance {instance_name} has no IPv4 address.")
    if instance["state"]["name"] not in ("running", "stopped"):
        raise OperationFailureError(f"The instance {instance_name} is {instance['state']['name']}.")
    attach(cloud, static, instance)
    details = ((static, instance_name), (instance, static_ip_name))
    return {"operations": [cloud.done("AttachStaticIp", resource, other) for resource, other in details]}


@operation
def detach_static_ip(cloud: LightsailBackend, static_ip_name: str) -> dict[str, Any]:
    static = cloud.get("StaticIp", static_ip_name)
    if not static["isAttached"]:
        raise InvalidInputError(f"The static IP is not attached to an instance: {static_ip_name}")
    instance = cloud.get("Instance", static.pop("attachedTo"))
    static["isAttached"] = False
    instance.update(publicIpAddress=cloud.addresses()[0], isStaticIp=False)
    details = ((static, instance["name"]), (instance, static_ip_name))
    return {"operations": [cloud.done("DetachStaticIp", resource, other) for resource, other in details]}


@operation
def release_static_ip(cloud: LightsailBackend, static_ip_name: str) -> dict[str, Any]:
    static = cloud.get("StaticIp", static_ip_name)
    if static["isAttached"]:
        instance = cloud.get("Instance", static["attachedTo"])
        instance.update(publicIpAddress=cloud.addresses()[0], isStaticIp=False)
    cloud.remove(static)
    return {"operations": [cloud.done("ReleaseStaticIp", static)]}


@operation
def get_static_ip(cloud: LightsailBackend, static_ip_name: str) -> dict[str, Any]:
    return {"staticIp": cloud.get("StaticIp", static_ip_name)}


@operation
def get_static_ips(cloud: LightsailBackend, page_token: str = "") -> dict[str, Any]:
    return cloud.page("staticIps", cloud.resources["StaticIp"].values(), page_token)
