"""Load balancers, and what they say of their instances' health."""

from __future__ import annotations

import uuid
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError, OperationFailureError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, Resource
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.tags import checked_tags

KIND = "LoadBalancer"
HEALTHY = {"instanceHealth": "healthy"}
BEGINNING = {"instanceHealth": "initial", "instanceHealthReason": "Lb.InitialHealthChecking"}
FAILING = {"instanceHealth": "unhealthy", "instanceHealthReason": "Instance.FailedHealthChecks"}
DRAINING = {"instanceHealth": "draining", "instanceHealthReason": "Instance.DeregistrationInProgress"}
STOPPED = {"instanceHealth": "unused", "instanceHealthReason": "Instance.InvalidState"}


@operation
def create_load_balancer(
    cloud: LightsailBackend,
    load_balancer_name: str,
    instance_port: int,
    health_check_path: str = "/",
    certificate_name: str = "",
    certificate_domain_name: str = "",
    certificate_alternative_names: list[str] | None = None,
    tags: list[dict[str, str]] | None = None,
    ip_address_type: str = "dualstack",
    tls_policy_name: str = "TLS-2016-08",
) -> dict[str, Any]:
    if certificate_name or certificate_domain_name or certificate_alternative_names:
        raise InvalidInputError("The emulated Lightsail has no certificates of load balancers.")
    tagged = checked_tags(tags or [])
    balancer = cloud.add(
        KIND,
        load_balancer_name,
        tags=tagged,
        dnsName=f"{uuid.uuid4().hex}-1.{cloud.region_name}.elb.amazonaws.com",
        state="provisioning",
        protocol="HTTP",
        publicPorts=[80],
        healthCheckPath=health_check_path,
        instancePort=instance_port,
        instanceHealthSummary=[],
        tlsCertificateSummaries=[],
        configurationOptions={"HealthCheckPath": health_check_path, "SessionStickinessEnabled": "false"},
        ipAddressType=ip_address_type,
        httpsRedirectionEnabled=False,
        tlsPolicyName=tls_policy_name,
    )
    return {"operations": [cloud.begin("CreateLoadBalancer", balancer, lambda: balancer.update(state="active"))]}


@operation
def get_load_balancer(cloud: LightsailBackend, load_balancer_name: str) -> dict[str, Any]:
    return {"loadBalancer": _answered(cloud, cloud.get(KIND, load_balancer_name))}


@operation
def get_load_balancers(cloud: LightsailBackend, page_token: str = "") -> dict[str, Any]:
    answer = cloud.page("loadBalancers", cloud.resources[KIND].values(), page_token)
    answer["loadBalancers"] = [_answered(cloud, each) for each in answer["loadBalancers"]]
    return answer


@operation
def delete_load_balancer(cloud: LightsailBackend, load_balancer_name: str) -> dict[str, Any]:
    balancer = cloud.get(KIND, load_balancer_name)
    cloud.remove(balancer)
    return {"operations": [cloud.done("DeleteLoadBalancer", balancer)]}


@operation
def attach_instances_to_load_balancer(
    cloud: LightsailBackend, load_balancer_name: str, instance_names: list[str]
) -> dict[str, Any]:
    balancer = cloud.get(KIND, load_balancer_name)
    instances = [cloud.get("Instance", name) for name in instance_names]
    for instance in instances:
        if instance["state"]["name"] != "running":
            raise OperationFailureError(f"The instance {instance['name']} is {instance['state']['name']}.")
        held = _entry(balancer, instance["name"])
        if held:
            state = "being detached" if held["instanceHealth"] == "draining" else "attached already"
            raise OperationFailureError(f"The instance {instance['name']} is {state}.")
    return {"operations": [_attach(cloud, balancer, instance["name"]) for instance in instances]}


@operation
def detach_instances_from_load_balancer(
    cloud: LightsailBackend, load_balancer_name: str, instance_names: list[str]
) -> dict[str, Any]:
    balancer = cloud.get(KIND, load_balancer_name)
    lacking = [name for name in instance_names if not _entry(balancer, name)]
    if lacking:
        raise InvalidInputError(f"The instance is not attached to {load_balancer_name}: {', '.join(lacking)}")
    return {"operations": [_detach(cloud, balancer, name) for name in instance_names]}


def put_failing(cloud: LightsailBackend, balancer: Resource, names: list[str]) -> None:
    """Let instances be such as never answer their health check."""
    cloud.hidden[balancer["arn"]]["failing"] = list(names)
    for name in names:
        entry = _entry(balancer, name)
        if entry and entry["instanceHealth"] in ("healthy", "initial"):
            entry.update(FAILING)


def _entry(balancer: Resource, name: str) -> Resource | None:
    held: list[Resource] = balancer["instanceHealthSummary"]
    return next((entry for entry in held if entry["instanceName"] == name), None)


def _attach(cloud: LightsailBackend, balancer: Resource, name: str) -> Resource:
    entry: Resource = {"instanceName": name, **BEGINNING}
    balancer["instanceHealthSummary"].append(entry)

    def settle() -> None:
        if entry["instanceHealth"] == "initial":
            failing = name in cloud.hidden[balancer["arn"]].get("failing", [])
            del entry["instanceHealthReason"]
            entry.update(FAILING if failing else HEALTHY)

    return cloud.begin("AttachInstancesToLoadBalancer", balancer, settle, name)


def _detach(cloud: LightsailBackend, balancer: Resource, name: str) -> Resource:
    entry = _entry(balancer, name)
    assert entry is not None  # it was looked for
    entry.update(DRAINING)

    def settle() -> None:
        held = balancer["instanceHealthSummary"]
        held[:] = [each for each in held if each is not entry]

    return cloud.begin("DetachInstancesFromLoadBalancer", balancer, settle, name)


def _answered(cloud: LightsailBackend, balancer: Resource) -> Resource:
    """Return a load balancer as it sees its instances: none that is gone, and those that are stopped unused."""
    told = []
    for entry in balancer["instanceHealthSummary"]:
        instance = cloud.resources["Instance"].get(entry["instanceName"])
        if instance:
            runs = instance["state"]["name"] == "running"
            told.append(dict(entry) if runs else {"instanceName": entry["instanceName"], **STOPPED})
    return {**balancer, "instanceHealthSummary": told}
