"""The cloud's own path, /_cloud: what a test may see and set while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.minato.fleet.tests.aws import fleet
from ansible_collections.minato.fleet.tests.aws.faults import FAULTS, Environ, Fault, Start
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import OPERATIONS
from ansible_collections.minato.fleet.tests.aws.settings import SETTINGS
from moto.moto_api._internal.models import moto_api_backend

PATH = "/_cloud"


class Control:
    """A WSGI application that takes the path for itself and hands all else on."""

    def __init__(self, application: fleet.Application, cloud: fleet.Application) -> None:
        self._application = application
        self._cloud = cloud

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path != PATH and not path.startswith(PATH + "/"):
            answer: Iterable[bytes] = self._application(environ, start)
            return answer
        what, _slash, which = path[len(PATH) + 1 :].partition("/")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        work = self._verbs().get(f"{environ['REQUEST_METHOD']} {what}".strip())
        try:
            said = work(body, which) if work else {"error": f"There is no {environ['REQUEST_METHOD']} {path}."}
            status = "200 OK" if work else "404 Not Found"
        except ValueError as error:
            status, said = "400 Bad Request", {"error": str(error)}
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(said, indent=2).encode() + b"\n"]

    def _verbs(self) -> dict[str, Callable[[bytes, str], Any]]:
        return {
            "GET": lambda _body, _which: status(),
            "GET settings": lambda _body, _which: SETTINGS.shown(),
            "PATCH settings": _set,
            "GET faults": lambda _body, _which: FAULTS.shown(),
            "POST faults": _add_faults,
            "DELETE faults": _remove_faults,
            "GET calls": lambda _body, _which: calls(),
            "DELETE calls": lambda _body, _which: FAULTS.calls.clear(),
            "POST fleet": self._load,
            "POST reset": lambda _body, _which: reset(),
        }

    def _load(self, body: bytes, _which: str) -> Any:
        fleet.load(fleet.read(body), self._cloud)
        return status()


def status() -> dict[str, Any]:
    """Return what there is."""
    return {
        "settings": SETTINGS.shown(),
        "faults": FAULTS.shown(),
        "calls": sum(FAULTS.calls.values()),
        "lightsail_operations": sorted(OPERATIONS),
    }


def calls() -> list[dict[str, Any]]:
    """Return how often each call came."""
    return [
        {"service": call.service, "region": call.region, "operation": call.operation, "count": count}
        for call, count in sorted(FAULTS.calls.items())
    ]


def reset() -> None:
    """Empty the cloud: every service, setting, fault and count."""
    moto_api_backend.reset()
    FAULTS.reset()
    SETTINGS.reset()


def _set(body: bytes, _which: str) -> dict[str, Any]:
    SETTINGS.change(fleet.checked(json.loads(body), "settings"))
    return SETTINGS.shown()


def _add_faults(body: bytes, _which: str) -> list[dict[str, Any]]:
    given = json.loads(body)
    rules = [Fault.of(fleet.checked(each, "fault")) for each in (given if isinstance(given, list) else [given])]
    for rule in rules:
        FAULTS.add(rule)
    return FAULTS.shown()


def _remove_faults(_body: bytes, which: str) -> list[dict[str, Any]]:
    for identity in [int(which)] if which else [fault.id for fault in FAULTS.rules]:
        if not FAULTS.remove(identity):
            raise ValueError(f"There is no fault {identity}.")
    return FAULTS.shown()
