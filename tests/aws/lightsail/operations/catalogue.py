"""Plans and images."""

from __future__ import annotations

from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail import catalogue
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation


def _some(rows: catalogue.Rows, inactive: bool, category: str = "") -> list[dict[str, Any]]:
    """None are for Lightsail for Research, the only category there is."""
    return [row for row in rows.values() if not category and (inactive or row["isActive"])]


@operation
def get_bundles(
    cloud: LightsailBackend, include_inactive: bool = False, page_token: str = "", app_category: str = ""
) -> dict[str, Any]:
    rows = _some(catalogue.bundles(cloud.region_name), include_inactive, app_category)
    return cloud.page("bundles", rows, page_token, "bundleId")


@operation
def get_blueprints(
    cloud: LightsailBackend, include_inactive: bool = False, page_token: str = "", app_category: str = ""
) -> dict[str, Any]:
    rows = _some(catalogue.blueprints(), include_inactive, app_category)
    return cloud.page("blueprints", rows, page_token, "blueprintId")


@operation
def get_relational_database_bundles(
    cloud: LightsailBackend, page_token: str = "", include_inactive: bool = False
) -> dict[str, Any]:
    return cloud.page("bundles", _some(catalogue.database_bundles(), include_inactive), page_token, "bundleId")


@operation
def get_relational_database_blueprints(cloud: LightsailBackend, page_token: str = "") -> dict[str, Any]:
    return cloud.page("blueprints", catalogue.database_blueprints().values(), page_token, "blueprintId")
