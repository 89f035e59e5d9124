"""Add-ons, and the automatic snapshots that one of them takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError, NotFoundError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, Resource
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation

MOST = 7


def enable(instance: Resource, wanted: dict[str, Any]) -> None:
    """Let an instance have an add-on, or have it otherwise."""
    add_on = checked(wanted)
    others = [each for each in instance.get("addOns", []) if each["name"] != add_on["name"]]
    instance["addOns"] = [*others, add_on]


def checked(wanted: dict[str, Any]) -> dict[str, str]:
    """Return an add-on as it is answered."""
    name = wanted["addOnType"]
    member = name[0].lower() + name[1:] + "Request"
    add_on = {"name": name, "status": "Enabled"}
    if name == "AutoSnapshot":
        # Without a time AWS takes one of the region's own.
        hour = wanted.get("autoSnapshotAddOnRequest", {}).get("snapshotTimeOfDay", "06:00")
        if not hour.endswith(":00"):
            raise InvalidInputError(f"The time of automatic snapshots is a full hour: {hour}")
        add_on |= {"snapshotTimeOfDay": hour, "nextSnapshotTimeOfDay": hour}
    else:
        add_on |= wanted.get(member, {})
    return add_on


@operation
def enable_add_on(cloud: LightsailBackend, resource_name: str, add_on_request: dict[str, Any]) -> dict[str, Any]:
    instance = cloud.get("Instance", resource_name)
    enable(instance, add_on_request)
    details = f"EnableAddOn - {add_on_request['addOnType']}"
    return {"operations": [cloud.begin("EnableAddOn", instance, details=details, first="NotStarted")]}


@operation
def disable_add_on(cloud: LightsailBackend, add_on_type: str, resource_name: str) -> dict[str, Any]:
    instance = cloud.get("Instance", resource_name)
    left = [each for each in instance.get("addOns", []) if each["name"] != add_on_type]
    if len(left) == len(instance.get("addOns", [])):
        raise InvalidInputError(f"The add-on {add_on_type} is not enabled for {resource_name}.")
    instance["addOns"] = left
    done = cloud.begin("DisableAddOn", instance, details=f"DisableAddOn - {add_on_type}", first="NotStarted")
    return {"operations": [done]}


def add_auto_snapshot(cloud: LightsailBackend, instance: Resource, taken: datetime, status: str = "Success") -> None:
    """Let an automatic snapshot have been taken; the oldest beyond seven go."""
    kept = cloud.hidden[instance["arn"]].setdefault("auto_snapshots", [])
    kept.append({"date": taken.strftime("%Y-%m-%d"), "createdAt": taken, "status": status, "fromAttachedDisks": []})
    kept.sort(key=lambda each: each["createdAt"], reverse=True)
    del kept[MOST:]


def auto_snapshots(cloud: LightsailBackend, instance: Resource) -> list[Resource]:
    """Return an instance's automatic snapshots, newest first."""
    found: list[Resource] = cloud.hidden[instance["arn"]].get("auto_snapshots", [])
    return found


@operation
def get_auto_snapshots(cloud: LightsailBackend, resource_name: str) -> dict[str, Any]:
    instance = cloud.get("Instance", resource_name)
    return {
        "resourceName": resource_name,
        "resourceType": "Instance",
        "autoSnapshots": auto_snapshots(cloud, instance),
    }


@operation
def delete_auto_snapshot(cloud: LightsailBackend, resource_name: str, date: str) -> dict[str, Any]:
    instance = cloud.get("Instance", resource_name)
    kept = auto_snapshots(cloud, instance)
    left = [each for each in kept if each["date"] != date]
    if len(left) == len(kept):
        raise NotFoundError(f"The automatic snapshot does not exist: {resource_name} of {date}")
    cloud.hidden[instance["arn"]]["auto_snapshots"] = left
    return {"operations": [cloud.done("DeleteAutoSnapshot", instance, date)]}


def hours_ago(hours: float) -> datetime:
    """Return a moment in the past."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours)
