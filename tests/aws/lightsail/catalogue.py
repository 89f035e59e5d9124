"""Plans and images, from catalogue.yml, in the shape in which they are answered."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError

Rows = dict[str, dict[str, Any]]


@functools.cache
def _read() -> dict[str, Any]:
    text = Path(__file__).with_suffix(".yml").read_text(encoding="utf-8")
    read: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return read


@functools.cache
def bundles(region: str) -> Rows:
    """Return an instance's plans by id, as they are in a region."""
    last = _read()["bundle_suffixes"].get(region)
    names = ("name", "instanceType", "price", "cpuCount", "ramSizeInGb", "diskSizeInGb", "transferPerMonthInGb")
    found: Rows = {}
    for group, rows in _read()["bundles"].items():
        family, _line, version = group.rpartition("_")[0].rpartition("_")
        infix = {"linux": "", "linux_ipv6": "ipv6_", "windows": "win_"}[family]
        for stem, *figures, power in rows:
            bundle = dict(zip(names, figures, strict=True))
            if last:
                bundle["transferPerMonthInGb"] //= 2
            identity = f"{stem}_{infix}{version}_{last or 0}"
            found[identity] = {
                **bundle,
                "bundleId": identity,
                "isActive": version == "3",
                "power": power,
                "supportedPlatforms": ["WINDOWS" if family == "windows" else "LINUX_UNIX"],
                "supportedAppCategories": [],
                "publicIpv4AddressCount": 0 if infix == "ipv6_" else 1,
            }
    return found


@functools.cache
def blueprints() -> Rows:
    """Return an instance's images by id."""
    names = ("blueprintId", "name", "group", "type", "version", "isActive", "platform")
    return {
        row[0]: {
            **dict(zip(names, row[:-1], strict=True)),
            "description": f"{row[1]} {row[4]}",
            "minPower": 500 if row[6] == "WINDOWS" else 0,
            "versionCode": "1",
            "productUrl": "https://aws.amazon.com/marketplace",
            "licenseUrl": "https://aws.amazon.com/marketplace",
        }
        for row in _read()["blueprints"]
    }


@functools.cache
def username(blueprint: str) -> str:
    """Return the name under which one logs in to an image."""
    return next(str(row[-1]) for row in _read()["blueprints"] if row[0] == blueprint)


@functools.cache
def database_bundles() -> Rows:
    """Return a database's plans by id."""
    names = ("name", "price", "cpuCount", "ramSizeInGb", "diskSizeInGb", "transferPerMonthInGb")
    found: Rows = {}
    for generation, rows in _read()["database_bundles"].items():
        active = generation == "2_0"
        for stem, *figures in rows:
            plain = {**dict(zip(names, figures, strict=True)), "isEncrypted": active, "isActive": active}
            twice = {**plain, "name": f"{plain['name']} with High Availability", "price": plain["price"] * 2}
            for infix, bundle in (("", plain), ("ha_", twice)):
                found[f"{stem}_{infix}{generation}"] = {"bundleId": f"{stem}_{infix}{generation}", **bundle}
    return found


@functools.cache
def database_blueprints() -> Rows:
    """Return a database's engines by id."""
    titles = {"mysql": "MySQL", "postgres": "PostgreSQL"}
    return {
        identity: {
            "blueprintId": identity,
            "engine": engine,
            "engineVersion": version,
            "engineDescription": titles[engine],
            "engineVersionDescription": f"{titles[engine]} {version}",
            "isEngineDefault": default,
        }
        for identity, engine, version, default in _read()["database_blueprints"]
    }


def choose(rows: Rows, identity: str, what: str, old: bool = False) -> dict[str, Any]:
    """Return one that can be had; with old, also one that existing resources alone have."""
    if identity not in rows or not (old or rows[identity].get("isActive", True)):
        known = [key for key, row in rows.items() if row.get("isActive", True)]
        raise InvalidInputError(f"The {what} ID is not valid: {identity}. Available: {', '.join(known)}")
    return rows[identity]
