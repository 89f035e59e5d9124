"""Regions."""

from __future__ import annotations

from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation
from ansible_collections.minato.fleet.tests.aws.lightsail.shapes import SERVICE

CONTINENTS = {"us": "NA", "ca": "NA", "sa": "SA", "eu": "EU", "ap": "AS"}


@operation
def get_regions(
    cloud: LightsailBackend,
    include_availability_zones: bool = False,
    include_relational_database_availability_zones: bool = False,
) -> dict[str, Any]:
    regions = []
    for name in SERVICE.shape_for("RegionName").enum:
        zones = [{"zoneName": name + letter, "state": "available"} for letter in "abc"]
        regions.append(
            {
                "continentCode": CONTINENTS[name.split("-")[0]],
                "description": f"This region is recommended to serve users near {name}",
                "displayName": name,
                "name": name,
                "availabilityZones": zones if include_availability_zones else [],
                "relationalDatabaseAvailabilityZones": zones if include_relational_database_availability_zones else [],
            }
        )
    return {"regions": regions}
