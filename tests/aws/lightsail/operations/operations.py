"""The record of what was done."""

from __future__ import annotations

from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import NotFoundError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation

PAGE = 200


@operation
def get_operation(cloud: LightsailBackend, operation_id: str) -> dict[str, Any]:
    if operation_id not in cloud.operations:
        raise NotFoundError(f"The Operation does not exist: {operation_id}")
    return {"operation": cloud.operations[operation_id]}


@operation
def get_operations(cloud: LightsailBackend, page_token: str = "") -> dict[str, Any]:
    return cloud.page("operations", cloud.operations.values(), page_token, "id", PAGE)


@operation
def get_active_names(cloud: LightsailBackend, page_token: str = "") -> dict[str, Any]:
    names = sorted(name for named in cloud.resources.values() for name in named)
    answer = cloud.page("activeNames", [{"name": name} for name in names], page_token)
    answer["activeNames"] = [each["name"] for each in answer["activeNames"]]
    return answer


@operation
def get_operations_for_resource(cloud: LightsailBackend, resource_name: str, page_token: str = "") -> dict[str, Any]:
    done = [each for each in cloud.operations.values() if each["resourceName"] == resource_name]
    if not done:
        cloud.find(resource_name)
    return cloud.page("operations", done, page_token, "id", PAGE)
