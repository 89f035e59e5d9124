"""Managed databases."""

from __future__ import annotations

import re
import secrets
import string
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail import catalogue
from ansible_collections.minato.fleet.tests.aws.lightsail.errors import (
    InvalidInputError,
    NotFoundError,
    OperationFailureError,
)
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, Resource, now
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.tags import Tags, checked_tags
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.zones import letter_of

KIND = "RelationalDatabase"
PORTS = {"mysql": 3306, "postgres": 5432}
LONGEST_PASSWORD = {"mysql": 41, "postgres": 128}
AUTHORITY = "rds-ca-rsa2048-g1"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
_DAY = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
WINDOWS = {
    "preferredBackupWindow": re.compile(f"{_CLOCK}-{_CLOCK}"),
    "preferredMaintenanceWindow": re.compile(f"{_DAY}:{_CLOCK}-{_DAY}:{_CLOCK}"),
}


def make(
    cloud: LightsailBackend,
    name: str,
    zone: str,
    blueprint: str,
    bundle: str,
    database: str,
    user: str,
    password: str = "",
    tags: Tags | None = None,
    public: bool = False,
    windows: dict[str, str] | None = None,
) -> Resource:
    """Make a database that is available."""
    letter = letter_of(cloud, zone) if zone else "a"
    engine = catalogue.choose(catalogue.database_blueprints(), blueprint, "database blueprint")
    plan = catalogue.choose(catalogue.database_bundles(), bundle, "database bundle", old=True)
    chosen = _checked_password(engine["engine"], password) if password else new_password()
    times = _checked_windows(windows or {})
    made = cloud.add(
        KIND,
        name,
        letter,
        tags=checked_tags(tags or []),
        relationalDatabaseBlueprintId=blueprint,
        relationalDatabaseBundleId=bundle,
        masterDatabaseName=database,
        hardware={name: plan[name] for name in ("cpuCount", "diskSizeInGb", "ramSizeInGb")},
        state="available",
        backupRetentionEnabled=True,
        pendingModifiedValues={},
        engine=engine["engine"],
        engineVersion=engine["engineVersion"],
        latestRestorableTime=now(),
        masterUsername=user,
        parameterApplyStatus="in-sync",
        preferredBackupWindow="16:00-16:30",
        preferredMaintenanceWindow="Tue:17:00-Tue:17:30",
        publiclyAccessible=public,
        pendingMaintenanceActions=[],
        caCertificateIdentifier=AUTHORITY,
    )
    if "_ha_" in bundle:
        made["secondaryAvailabilityZone"] = cloud.region_name + ("b" if letter == "a" else "a")
    made.update(times)
    cloud.hidden[made["arn"]]["passwords"] = [{"masterUserPassword": chosen, "createdAt": now()}]
    put_endpoint(cloud, made)
    return made


def put_endpoint(cloud: LightsailBackend, database: Resource, address: str = "", port: int = 0) -> None:
    """Say where a database answers."""
    own = f"ls-{database['arn'].rpartition('/')[2].replace('-', '')}.emulated.{cloud.region_name}.rds.amazonaws.com"
    database["masterEndpoint"] = {"address": address or own, "port": port or PORTS[database["engine"]]}


def new_password() -> str:
    """Return a password as AWS makes them."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _number in range(32))


def _checked_password(engine: str, password: str) -> str:
    longest = LONGEST_PASSWORD[engine]
    if not 8 <= len(password) <= longest or not re.fullmatch(r"[!-~]+", password) or set(password) & set('/"@'):
        raise InvalidInputError(
            f"The master user password of {engine} has 8 to {longest} printable ASCII characters without "
            'space, "/", """ and "@".'
        )
    return password


def _checked_windows(windows: dict[str, str]) -> dict[str, str]:
    for name, text in windows.items():
        if text and not WINDOWS[name].fullmatch(text):
            raise InvalidInputError(f"The value of {name} is not valid: {text}")
    return {name: text for name, text in windows.items() if text}


def come_up(cloud: LightsailBackend, database: Resource, what: str, state: str = "creating") -> dict[str, Any]:
    """Let a database be on its way to available; it answers nowhere before."""
    endpoint = database.pop("masterEndpoint") if state == "creating" else database["masterEndpoint"]
    database["state"] = state
    done = cloud.begin(what, database, lambda: database.update(state="available", masterEndpoint=endpoint))
    return {"operations": [done]}


def _available(cloud: LightsailBackend, name: str, state: str = "available") -> Resource:
    database = cloud.get(KIND, name)
    if database["state"] != state:
        raise OperationFailureError(
            f"The database {name} is {database['state']}; this needs it to be {state}.", code="InvalidDatabaseState"
        )
    return database


@operation
def create_relational_database(
    cloud: LightsailBackend,
    relational_database_name: str,
    relational_database_blueprint_id: str,
    relational_database_bundle_id: str,
    master_database_name: str,
    master_username: str,
    availability_zone: str = "",
    master_user_password: str = "",
    preferred_backup_window: str = "",
    preferred_maintenance_window: str = "",
    publicly_accessible: bool = False,
    tags: Tags | None = None,
) -> dict[str, Any]:
    catalogue.choose(catalogue.database_bundles(), relational_database_bundle_id, "database bundle")
    if not re.fullmatch(r"[A-Za-z]\w{0,62}", master_username):
        raise InvalidInputError(f"The master user name is not valid: {master_username}")
    made = make(
        cloud,
        relational_database_name,
        availability_zone,
        relational_database_blueprint_id,
        relational_database_bundle_id,
        master_database_name,
        master_username,
        master_user_password,
        tags,
        publicly_accessible,
        {
            "preferredBackupWindow": preferred_backup_window,
            "preferredMaintenanceWindow": preferred_maintenance_window,
        },
    )
    return come_up(cloud, made, "CreateRelationalDatabase")


@operation
def get_relational_database(cloud: LightsailBackend, relational_database_name: str) -> dict[str, Any]:
    return {"relationalDatabase": _restorable(cloud.get(KIND, relational_database_name))}


@operation
def get_relational_databases(cloud: LightsailBackend, page_token: str = "") -> dict[str, Any]:
    answer = cloud.page("relationalDatabases", cloud.resources[KIND].values(), page_token)
    answer["relationalDatabases"] = [_restorable(each) for each in answer["relationalDatabases"]]
    return answer


def _restorable(database: Resource) -> Resource:
    """AWS can restore to any moment but the last five minutes."""
    last = max(database["createdAt"], datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5))
    return {**database, "latestRestorableTime": last}


@operation
def update_relational_database(
    cloud: LightsailBackend,
    relational_database_name: str,
    master_user_password: str = "",
    rotate_master_user_password: bool = False,
    preferred_backup_window: str = "",
    preferred_maintenance_window: str = "",
    enable_backup_retention: bool = False,
    disable_backup_retention: bool = False,
    publicly_accessible: bool | None = None,
    apply_immediately: bool = False,
    ca_certificate_identifier: str = "",
    relational_database_blueprint_id: str = "",
) -> dict[str, Any]:
    database = _available(cloud, relational_database_name)
    if enable_backup_retention and disable_backup_retention:
        raise InvalidInputError("Backup retention can be enabled or disabled, not both.")
    if master_user_password and rotate_master_user_password:
        raise InvalidInputError("The master user password can be set or rotated, not both.")
    windows = {
        "preferredBackupWindow": preferred_backup_window,
        "preferredMaintenanceWindow": preferred_maintenance_window,
    }
    now_wanted: Resource = _checked_windows(windows)
    later: Resource = {}
    if publicly_accessible is not None:
        now_wanted["publiclyAccessible"] = publicly_accessible
    if ca_certificate_identifier:
        now_wanted["caCertificateIdentifier"] = ca_certificate_identifier
    if enable_backup_retention or disable_backup_retention:
        later["backupRetentionEnabled"] = enable_backup_retention
    if relational_database_blueprint_id:
        later |= _upgrade(database, relational_database_blueprint_id)
    password = ""
    if master_user_password:
        password = _checked_password(database["engine"], master_user_password)
    elif rotate_master_user_password:
        password = new_password()
    if password:
        passwords = cloud.hidden[database["arn"]]["passwords"]
        passwords.insert(0, {"masterUserPassword": password, "createdAt": now()})
    if apply_immediately:
        now_wanted |= later
    elif later:
        shown = ("engineVersion", "backupRetentionEnabled")
        database["pendingModifiedValues"] |= {name: later[name] for name in shown if name in later}
    database["state"] = "modifying"

    def end() -> None:
        database.update(now_wanted, state="available")

    return {"operations": [cloud.begin("UpdateRelationalDatabase", database, end)]}


def _upgrade(database: Resource, blueprint: str) -> Resource:
    engine = catalogue.choose(catalogue.database_blueprints(), blueprint, "database blueprint")
    known = list(catalogue.database_blueprints())
    old = database["relationalDatabaseBlueprintId"]
    if engine["engine"] != database["engine"] or known.index(blueprint) < known.index(old):
        raise InvalidInputError(f"A database cannot go from {old} to {blueprint}.")
    return {"relationalDatabaseBlueprintId": blueprint, "engineVersion": engine["engineVersion"]}


@operation
def get_relational_database_master_user_password(
    cloud: LightsailBackend, relational_database_name: str, password_version: str = "CURRENT"
) -> dict[str, Any]:
    database = cloud.get(KIND, relational_database_name)
    passwords: list[Resource] = cloud.hidden[database["arn"]]["passwords"]
    number = {"CURRENT": 0, "PREVIOUS": 1}.get(password_version, len(passwords))
    if number >= len(passwords):
        raise NotFoundError(f"The database {relational_database_name} has no {password_version} password.")
    return passwords[number]


@operation
def start_relational_database(cloud: LightsailBackend, relational_database_name: str) -> dict[str, Any]:
    database = _available(cloud, relational_database_name, "stopped")
    return come_up(cloud, database, "StartRelationalDatabase", "starting")


@operation
def reboot_relational_database(cloud: LightsailBackend, relational_database_name: str) -> dict[str, Any]:
    return come_up(cloud, _available(cloud, relational_database_name), "RebootRelationalDatabase", "rebooting")


@operation
def stop_relational_database(
    cloud: LightsailBackend, relational_database_name: str, relational_database_snapshot_name: str = ""
) -> dict[str, Any]:
    database = _available(cloud, relational_database_name)
    done = []
    if relational_database_snapshot_name:
        done.append(snapshot(cloud, database, relational_database_snapshot_name))
    database["state"] = "stopping"
    done.append(cloud.begin("StopRelationalDatabase", database, lambda: database.update(state="stopped")))
    return {"operations": done}


@operation
def delete_relational_database(
    cloud: LightsailBackend,
    relational_database_name: str,
    skip_final_snapshot: bool = False,
    final_relational_database_snapshot_name: str = "",
) -> dict[str, Any]:
    if skip_final_snapshot == bool(final_relational_database_snapshot_name):
        raise InvalidInputError("Give either skipFinalSnapshot or finalRelationalDatabaseSnapshotName.")
    database = cloud.get(KIND, relational_database_name)
    if database["state"] not in ("available", "stopped"):
        _available(cloud, relational_database_name)
    done = []
    if final_relational_database_snapshot_name:
        done.append(snapshot(cloud, database, final_relational_database_snapshot_name))
    database["state"] = "deleting"
    done.append(cloud.begin("DeleteRelationalDatabase", database, lambda: cloud.remove(database)))
    return {"operations": done}


def snapshot(cloud: LightsailBackend, database: Resource, name: str, tags: Tags | None = None) -> Resource:
    """Begin a snapshot of a database, and return the operation."""
    taken = cloud.add(
        "RelationalDatabaseSnapshot",
        name,
        tags=checked_tags(tags or []),
        engine=database["engine"],
        engineVersion=database["engineVersion"],
        sizeInGb=database["hardware"]["diskSizeInGb"],
        state="creating",
        fromRelationalDatabaseName=database["name"],
        fromRelationalDatabaseArn=database["arn"],
        fromRelationalDatabaseBundleId=database["relationalDatabaseBundleId"],
        fromRelationalDatabaseBlueprintId=database["relationalDatabaseBlueprintId"],
    )
    cloud.hidden[taken["arn"]]["database"] = dict(database)
    cloud.hidden[taken["arn"]]["passwords"] = list(cloud.hidden[database["arn"]]["passwords"])
    return cloud.begin(
        "CreateRelationalDatabaseSnapshot", taken, lambda: taken.update(state="available"), details=database["name"]
    )
