"""Snapshots of instances and databases, and what is made from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail import catalogue
from ansible_collections.minato.fleet.tests.aws.lightsail.errors import (
    InvalidInputError,
    NotFoundError,
    OperationFailureError,
)
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, Resource
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import databases
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.add_ons import auto_snapshots
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.instances import launch, put_state
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.tags import Tags, checked_tags

OF_INSTANCE = "InstanceSnapshot"
OF_DATABASE = "RelationalDatabaseSnapshot"


@operation
def create_instance_snapshot(
    cloud: LightsailBackend, instance_snapshot_name: str, instance_name: str, tags: Tags | None = None
) -> dict[str, Any]:
    instance = cloud.get("Instance", instance_name)
    if instance["state"]["name"] not in ("running", "stopped"):
        raise OperationFailureError(f"The instance {instance_name} is {instance['state']['name']}.")
    return {"operations": [take(cloud, instance, instance_snapshot_name, tags)]}


def take(cloud: LightsailBackend, instance: Resource, name: str, tags: Tags | None = None) -> Resource:
    """Begin a snapshot of an instance, and return the operation."""
    taken = cloud.add(
        OF_INSTANCE,
        name,
        tags=checked_tags(tags or []),
        state="pending",
        progress="0%",
        fromAttachedDisks=[],
        fromInstanceName=instance["name"],
        fromInstanceArn=instance["arn"],
        fromBlueprintId=instance["blueprintId"],
        fromBundleId=instance["bundleId"],
        isFromAutoSnapshot=False,
        sizeInGb=instance["hardware"]["disks"][0]["sizeInGb"],
    )
    ready = {"state": "available", "progress": "100%"}
    return cloud.begin("CreateInstanceSnapshot", taken, lambda: taken.update(ready), details=instance["name"])


@operation
def get_instance_snapshot(cloud: LightsailBackend, instance_snapshot_name: str) -> dict[str, Any]:
    return {"instanceSnapshot": cloud.get(OF_INSTANCE, instance_snapshot_name)}


@operation
def get_instance_snapshots(cloud: LightsailBackend, page_token: str = "") -> dict[str, Any]:
    return cloud.page("instanceSnapshots", cloud.resources[OF_INSTANCE].values(), page_token)


@operation
def delete_instance_snapshot(cloud: LightsailBackend, instance_snapshot_name: str) -> dict[str, Any]:
    return {"operations": [_delete(cloud, _ready(cloud, OF_INSTANCE, instance_snapshot_name))]}


def _delete(cloud: LightsailBackend, snapshot: Resource) -> Resource:
    cloud.remove(snapshot)
    return cloud.done(f"Delete{snapshot['resourceType']}", snapshot)


def _ready(cloud: LightsailBackend, kind: str, name: str) -> Resource:
    snapshot = cloud.get(kind, name)
    if snapshot["state"] != "available":
        raise OperationFailureError(f"The snapshot {name} is {snapshot['state']}; this needs it to be available.")
    return snapshot


@operation
def create_instances_from_snapshot(
    cloud: LightsailBackend,
    instance_names: list[str],
    availability_zone: str,
    bundle_id: str,
    attached_disk_mapping: dict[str, Any] | None = None,
    instance_snapshot_name: str = "",
    user_data: str = "",
    key_pair_name: str = "",
    tags: Tags | None = None,
    add_ons: list[dict[str, Any]] | None = None,
    ip_address_type: str = "dualstack",
    source_instance_name: str = "",
    restore_date: str = "",
    use_latest_restorable_auto_snapshot: bool = False,
) -> dict[str, Any]:
    if bool(instance_snapshot_name) == bool(source_instance_name):
        raise InvalidInputError("Give either instanceSnapshotName or sourceInstanceName.")
    if instance_snapshot_name:
        if restore_date or use_latest_restorable_auto_snapshot:
            raise InvalidInputError("A manual snapshot has no restoreDate and no useLatestRestorableAutoSnapshot.")
        snapshot = _ready(cloud, OF_INSTANCE, instance_snapshot_name)
        blueprint, least = snapshot["fromBlueprintId"], snapshot["sizeInGb"]
    else:
        source = cloud.get("Instance", source_instance_name)
        _automatic(cloud, source, restore_date, use_latest_restorable_auto_snapshot)
        blueprint, least = source["blueprintId"], source["hardware"]["disks"][0]["sizeInGb"]
    plan = catalogue.choose(catalogue.bundles(cloud.region_name), bundle_id, "bundle")
    if plan["diskSizeInGb"] < least:
        raise InvalidInputError(f"The disk of {bundle_id} is smaller than that of the snapshot: {least} GB.")
    extras = key_pair_name, tags, add_ons, ip_address_type
    launched = launch(cloud, instance_names, availability_zone, blueprint, bundle_id, *extras)
    return {"operations": [_restore(cloud, each) for each in launched]}


def _restore(cloud: LightsailBackend, instance: Resource) -> Resource:
    put_state(instance, "pending")
    return cloud.begin(
        "CreateInstancesFromSnapshot", instance, lambda: put_state(instance, "running"), first="NotStarted"
    )


def _automatic(cloud: LightsailBackend, source: Resource, date: str, latest: bool) -> None:
    if bool(date) == latest:
        raise InvalidInputError("Give either restoreDate or useLatestRestorableAutoSnapshot.")
    taken = [each for each in auto_snapshots(cloud, source) if each["status"] == "Success"]
    if not any(date in ("", each["date"]) for each in taken):
        raise NotFoundError(f"The automatic snapshot does not exist: {source['name']}{date and ' of ' + date}")


@operation
def create_relational_database_snapshot(
    cloud: LightsailBackend,
    relational_database_name: str,
    relational_database_snapshot_name: str,
    tags: Tags | None = None,
) -> dict[str, Any]:
    database = cloud.get(databases.KIND, relational_database_name)
    if database["state"] != "available":
        raise OperationFailureError(f"The database {relational_database_name} is {database['state']}.")
    return {"operations": [databases.snapshot(cloud, database, relational_database_snapshot_name, tags)]}


@operation
def get_relational_database_snapshot(cloud: LightsailBackend, relational_database_snapshot_name: str) -> dict[str, Any]:
    return {"relationalDatabaseSnapshot": cloud.get(OF_DATABASE, relational_database_snapshot_name)}


@operation
def get_relational_database_snapshots(cloud: LightsailBackend, page_token: str = "") -> dict[str, Any]:
    return cloud.page("relationalDatabaseSnapshots", cloud.resources[OF_DATABASE].values(), page_token)


@operation
def delete_relational_database_snapshot(
    cloud: LightsailBackend, relational_database_snapshot_name: str
) -> dict[str, Any]:
    return {"operations": [_delete(cloud, _ready(cloud, OF_DATABASE, relational_database_snapshot_name))]}


@operation
def create_relational_database_from_snapshot(
    cloud: LightsailBackend,
    relational_database_name: str,
    availability_zone: str = "",
    publicly_accessible: bool = False,
    relational_database_snapshot_name: str = "",
    relational_database_bundle_id: str = "",
    source_relational_database_name: str = "",
    restore_time: float | None = None,
    use_latest_restorable_time: bool = False,
    tags: Tags | None = None,
) -> dict[str, Any]:
    if bool(relational_database_snapshot_name) == bool(source_relational_database_name):
        raise InvalidInputError("Give either relationalDatabaseSnapshotName or sourceRelationalDatabaseName.")
    if relational_database_snapshot_name:
        snapshot = _ready(cloud, OF_DATABASE, relational_database_snapshot_name)
        known = cloud.hidden[snapshot["arn"]]
        source = known["database"]
    else:
        source = cloud.get(databases.KIND, source_relational_database_name)
        known = cloud.hidden[source["arn"]]
        _refuse_moment(source, restore_time, use_latest_restorable_time)
    bundle = relational_database_bundle_id or source["relationalDatabaseBundleId"]
    plan = catalogue.choose(catalogue.database_bundles(), bundle, "database bundle")
    if plan["diskSizeInGb"] < source["hardware"]["diskSizeInGb"]:
        raise InvalidInputError(f"The disk of {bundle} is smaller than that of {source['name']}.")
    made = databases.make(
        cloud,
        relational_database_name,
        availability_zone,
        source["relationalDatabaseBlueprintId"],
        bundle,
        source["masterDatabaseName"],
        source["masterUsername"],
        known["passwords"][0]["masterUserPassword"],
        tags,
        publicly_accessible,
    )
    return databases.come_up(cloud, made, "CreateRelationalDatabaseFromSnapshot")


def _refuse_moment(source: Resource, moment: float | None, latest: bool) -> None:
    if (moment is not None) == latest:
        raise InvalidInputError("Give either restoreTime or useLatestRestorableTime.")
    if moment is not None and not source["createdAt"].timestamp() <= moment <= datetime.now(UTC).timestamp():
        raise InvalidInputError(f"The database {source['name']} cannot be restored to this moment: {moment}")
