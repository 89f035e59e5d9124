"""The state of Lightsail in one region of one account."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError
from moto.core.base_backend import BackendDict, BaseBackend

PAGE = 100


class LightsailBackend(BaseBackend):
    """Plain dictionaries, in the shape in which they are answered, by name or id."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.domains: dict[str, dict[str, Any]] = {}
        self.operations: dict[str, dict[str, Any]] = {}

    def location(self, zone: str = "all") -> dict[str, str]:
        """Return where a resource lies; zone is the letter of one, or all."""
        return {"availabilityZone": zone if zone == "all" else self.region_name + zone, "regionName": self.region_name}

    def resource(self, kind: str, name: str, zone: str = "all") -> dict[str, Any]:
        """Return what every resource has."""
        identity = str(uuid.uuid4())
        return {
            "name": name,
            "arn": f"arn:aws:lightsail:{self.region_name}:{self.account_id}:{kind}/{identity}",
            "supportCode": f"{self.account_id}/{identity}",
            "createdAt": now(),
            "location": self.location(zone),
            "resourceType": kind,
        }

    def record(
        self, operation: str, kind: str, name: str, details: str = "", status: str = "Succeeded"
    ) -> dict[str, Any]:
        """Record an operation on a resource, and return it as calls answer it."""
        recorded: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "resourceName": name,
            "resourceType": kind,
            "createdAt": now(),
            "location": self.location(),
            "isTerminal": status in ("Succeeded", "Completed", "Failed"),
            "operationDetails": details,
            "operationType": operation,
            "status": status,
            "statusChangedAt": now(),
        }
        self.operations[recorded["id"]] = recorded
        return recorded

    def page(self, key: str, items: list[dict[str, Any]], token: str) -> dict[str, Any]:
        """Answer one page of a list; the token is where it begins."""
        if token and not (token.isdecimal() and int(token) < len(items)):
            raise InvalidInputError("The page token is not valid.")
        begin = int(token or 0)
        answer: dict[str, Any] = {key: items[begin : begin + PAGE]}
        if begin + PAGE < len(items):
            answer["nextPageToken"] = str(begin + PAGE)
        return answer


def now() -> datetime:
    """Now, in whole milliseconds as AWS tells it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


lightsail_backends: BackendDict[LightsailBackend] = BackendDict(LightsailBackend, "lightsail")
