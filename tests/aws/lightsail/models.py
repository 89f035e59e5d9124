"""The state of Lightsail in one region of one account."""

from __future__ import annotations

import base64
import heapq
import ipaddress
import itertools
import json
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError, NotFoundError
from ansible_collections.minato.fleet.tests.aws.lightsail.shapes import SERVICE
from ansible_collections.minato.fleet.tests.aws.settings import SETTINGS
from moto.core.base_backend import BackendDict, BaseBackend

Resource = dict[str, Any]

REGIONS: list[str] = list(SERVICE.shape_for("RegionName").enum)
PAGE = 100
# Networks that are nobody's: 198.18.0.0/15 is for benchmarks, 2001:db8::/32 for documentation.
PUBLIC = ipaddress.IPv4Address("198.18.0.0")
PRIVATE = ipaddress.IPv4Address("172.26.0.0")
PUBLIC_V6 = ipaddress.IPv6Address("2001:db8::")
ADDRESSES_OF_A_REGION = 6400


class LightsailBackend(BaseBackend):
    """Plain dictionaries, in the shape in which they are answered, by kind and name.

    What takes its time is put off with `begin`; `settle` does what has become due before each call.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.resources: defaultdict[str, dict[str, Resource]] = defaultdict(dict)
        self.operations: dict[str, Resource] = {}
        # What is known of a resource and not answered with it: passwords, host keys, automatic snapshots.
        self.hidden: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)

    @property
    def domains(self) -> dict[str, Resource]:
        """The DNS zones."""
        return self.resources["Domain"]

    def location(self, zone: str = "all") -> dict[str, str]:
        """Return where a resource lies; zone is the letter of one, or all."""
        return {"availabilityZone": zone if zone == "all" else self.region_name + zone, "regionName": self.region_name}

    def resource(self, kind: str, name: str, zone: str = "all") -> Resource:
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

    def add(self, kind: str, name: str, zone: str = "all", **members: Any) -> Resource:
        """Keep a new resource under a name that no other resource has."""
        self.refuse_names([name])
        self.resources[kind][name] = {**self.resource(kind, name, zone), **members}
        return self.resources[kind][name]

    def get(self, kind: str, name: str) -> Resource:
        """Return a resource, or refuse."""
        if name not in self.resources[kind]:
            raise NotFoundError(f"The {kind} does not exist: {name}")
        return self.resources[kind][name]

    def find(self, name: str) -> Resource:
        """Return the resource of any kind that bears a name, or refuse."""
        for named in self.resources.values():
            if name in named:
                return named[name]
        raise NotFoundError(f"The resource does not exist: {name}")

    def remove(self, resource: Resource) -> None:
        """Forget a resource and what is known of it."""
        self.resources[resource["resourceType"]].pop(resource["name"], None)
        self.hidden.pop(resource["arn"], None)

    def refuse_names(self, names: Iterable[str]) -> None:
        """Refuse names that a resource of any kind has already, and those wanted twice."""
        wanted = Counter(names)
        used = {name for name in wanted if any(name in named for named in self.resources.values())}
        used |= {name for name, times in wanted.items() if times > 1}
        if used:
            raise InvalidInputError(f"Some names are already in use: {', '.join(sorted(used))}", code="NameExists")

    def record(self, operation: str, kind: str, name: str, details: str = "", status: str = "Succeeded") -> Resource:
        """Record an operation on a resource, and return it as calls answer it."""
        recorded: Resource = {
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
        return dict(recorded)

    def done(self, operation: str, resource: Resource, details: str = "") -> Resource:
        """Record an operation that is over when it is answered."""
        answer = self.record(operation, resource["resourceType"], resource["name"], details)
        self.operations[answer["id"]]["location"] = answer["location"] = resource["location"]
        return answer

    def begin(
        self,
        operation: str,
        resource: Resource,
        then: Callable[[], None] = lambda: None,
        details: str = "",
        first: str = "Started",
    ) -> Resource:
        """Record an operation that takes the settable delay; `then` is what it does at its end."""
        answer = self.record(operation, resource["resourceType"], resource["name"], details, first)
        recorded = self.operations[answer["id"]]
        recorded["location"] = answer["location"] = resource["location"]

        def start() -> None:
            recorded.update(status="Started", statusChangedAt=now())

        def end() -> None:
            then()
            recorded.update(status="Succeeded", isTerminal=True, statusChangedAt=now())

        if first == "NotStarted":
            self.later(start, SETTINGS.delay / 2)
        self.later(end, SETTINGS.delay)
        return answer

    def later(self, work: Callable[[], None], seconds: float) -> None:
        """Put work off."""
        heapq.heappush(self._due, (clock() + seconds, next(self._numbers), work))

    def settle(self) -> None:
        """Do what has become due."""
        while self._due and self._due[0][0] <= clock():
            heapq.heappop(self._due)[2]()

    def addresses(self) -> tuple[str, str, str]:
        """Return a public, a private and an IPv6 address that nothing had before."""
        number = next(self._numbers)
        region = REGIONS.index(self.region_name)
        v6 = PUBLIC_V6 + (region << 64) + number
        return str(PUBLIC + region * ADDRESSES_OF_A_REGION + number), str(PRIVATE + number), str(v6)

    def page(self, key: str, items: Iterable[Resource], token: str, mark: str = "name", size: int = PAGE) -> Resource:
        """Answer one page of a list; the token says, to us alone, what the page before it ended with.

        So a list may grow or shrink between two pages, and no item comes twice or is left out.
        """
        listed = list(items)
        begin = self._begin_of_page(key, [str(item[mark]) for item in listed], token) if token else 0
        end = begin + (SETTINGS.page_size or size)
        answer: Resource = {key: listed[begin:end]}
        if end < len(listed):
            said = json.dumps([key, self.region_name, str(listed[end - 1][mark]), end])
            answer["nextPageToken"] = base64.urlsafe_b64encode(said.encode()).decode()
        return answer

    def _begin_of_page(self, key: str, marks: list[str], token: str) -> int:
        try:
            of, region, last, number = json.loads(base64.urlsafe_b64decode(token.encode()))
        except ValueError:
            of = region = last = number = None
        if (of, region) != (key, self.region_name):
            raise InvalidInputError("The page token is not valid.")
        return marks.index(last) + 1 if last in marks else min(int(number), len(marks))


def clock() -> float:
    """Tell the seconds by which it is decided what is over."""
    return time.monotonic() + SETTINGS.ahead


def now() -> datetime:
    """Now, in whole milliseconds as AWS tells it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


lightsail_backends: BackendDict[LightsailBackend] = BackendDict(LightsailBackend, "lightsail")
