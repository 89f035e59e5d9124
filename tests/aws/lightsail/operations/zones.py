"""Zones of a region."""

from __future__ import annotations

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend

LETTERS = "abc"


def letter_of(cloud: LightsailBackend, zone: str) -> str:
    """Return the letter of a zone of this region."""
    if zone[:-1] != cloud.region_name or zone[-1] not in LETTERS:
        known = ", ".join(cloud.region_name + letter for letter in LETTERS)
        raise InvalidInputError(f"There is no Availability Zone {zone} in {cloud.region_name}. Available: {known}")
    return zone[-1]
