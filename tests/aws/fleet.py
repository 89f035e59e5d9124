"""A whole fleet from one YAML file: Lightsail, EC2 and RDS."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.minato.fleet.tests.aws import fleet_lightsail, fleet_moto
from ansible_collections.minato.fleet.tests.aws.faults import FAULTS, Fault
from ansible_collections.minato.fleet.tests.aws.fleet_items import FleetError, Item
from ansible_collections.minato.fleet.tests.aws.settings import SETTINGS

ACCOUNT = "123456789012"
LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Application = Callable[..., Any]


@functools.cache
def _schema() -> dict[str, Any]:
    text = Path(__file__).with_name("fleet_schema.yml").read_text(encoding="utf-8")
    schema: dict[str, Any] = yaml.load(text, LOADER)
    return schema


def load_file(path: Path, application: Application) -> None:
    """Put the fleet of a file into the cloud, or refuse it in one sentence."""
    try:
        load(read(path.read_bytes()), application)
    except (OSError, FleetError) as error:
        raise FleetError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from error


def read(text: str | bytes) -> dict[str, Any]:
    """Return the fleet that a YAML text describes, or refuse it in one sentence."""
    try:
        return checked(yaml.load(text, LOADER))
    except yaml.YAMLError as error:
        raise FleetError(f"This is no YAML: {' '.join(str(error).split())}") from error


def checked(value: Any, part: str = "") -> dict[str, Any]:
    """Return a fleet, or a part of one, that fits its schema, or refuse it in one sentence."""
    import jsonschema  # here, because a cloud without a fleet needs none

    rule = {**_schema()["$defs"][part], "$defs": _schema()["$defs"]} if part else _schema()
    found = sorted(jsonschema.Draft202012Validator(rule).iter_errors(value), key=lambda each: list(each.path))
    if found:
        # Of alternatives, the one that went furthest is what was meant.
        deepest = max([found[0], *(found[0].context or [])], key=lambda each: len(each.absolute_path))
        raise FleetError(f"{_place(deepest.absolute_path)}: {deepest.message}")
    fitting: dict[str, Any] = value
    return fitting


def _place(path: Any) -> str:
    return ".".join(str(part) for part in path) or "the fleet"


def load(fleet: dict[str, Any], application: Application) -> None:
    """Put a fleet that was read into the cloud; the application is the one that answers for moto's services."""
    SETTINGS.change(fleet.get("settings", {}))
    for fault in fleet.get("faults", []):
        FAULTS.add(Fault.of(fault))
    accounts = {ACCOUNT: {"regions": fleet.get("regions", {})}, **fleet.get("accounts", {})}
    for account, part in accounts.items():
        for region, services in part["regions"].items():
            services = services or {}
            if not services.get("enabled", True):
                FAULTS.add(Fault("region_disabled", region=region))
            for service, kind, put in _kinds(account, region, application):
                for item in _items(services.get(service, {}).get(kind, [])):
                    try:
                        put(item)
                    except FleetError as error:
                        raise FleetError(f"{region}.{service}.{kind}.{item['name']}: {error}") from error


Put = Callable[[Item], None]


def _kinds(account: str, region: str, application: Application) -> Iterator[tuple[str, str, Put]]:
    """Yield what can be there, in the order in which one needs the other."""
    for kind, lightsail in fleet_lightsail.KINDS.items():
        yield "lightsail", kind, functools.partial(lightsail, account, region)
    moto = fleet_moto.Moto(application, account, region)
    yield "ec2", "instances", moto.put_instance
    yield "ec2", "target_groups", moto.put_target_group
    yield "rds", "databases", moto.put_database


def _items(items: list[Item]) -> Iterator[Item]:
    """Yield each item; with a count, so many of it, where {n} is the number."""
    for item in items:
        item = deepcopy(item)
        count = item.pop("count", None)
        if count is None:
            yield item
        elif "{n}" not in item["name"]:
            raise FleetError(f"{item['name']}: write {{n}} into the name of what there is {count} times.")
        else:
            for number in range(1, count + 1):
                yield _numbered(item, str(number))


def _numbered(value: Any, number: str) -> Any:
    if isinstance(value, dict):
        return {key: _numbered(each, number) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbered(each, number) for each in value]
    return value.replace("{n}", number) if isinstance(value, str) else value
