"""What goes wrong on purpose, and how slow the cloud is: in front of every service, Lightsail's and moto's alike."""

from __future__ import annotations

import functools
import io
import itertools
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Event, Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import yaml
from ansible_collections.minato.fleet.tests.aws.fleet_items import FleetError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import REGIONS
from ansible_collections.minato.fleet.tests.aws.settings import SETTINGS

Environ = dict[str, Any]
Start = Callable[..., Any]

# What is no error that AWS sends.
BEHAVIOURS = ("slow", "hang", "reset", "garbage")
HANGS_AT_MOST = 3600


@functools.cache
def answers() -> dict[str, dict[str, tuple[int, str, str]]]:
    """Return what each fault says in each protocol."""
    read: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
    return read


class Call(NamedTuple):
    """What a request wants, as far as it is seen from outside."""

    service: str
    region: str
    operation: str
    protocol: str


@dataclass
class Fault:
    """One rule; what it does not say fits every call."""

    fault: str
    service: str = "*"
    region: str = "*"
    operation: str = "*"
    # Let so many calls pass first; then meet so many, 0 for all.
    after: int = 0
    times: int = 0
    # How long "slow" lasts.
    seconds: float = 1.0
    # Say something else than the fault does.
    status: int = 0
    code: str = ""
    message: str = ""
    id: int = 0
    met: int = field(default=0)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Fault:
        """Return the rule that some data describes, or refuse."""
        known = (*answers(), *BEHAVIOURS)
        if data["fault"] not in known:
            raise FleetError(f"There is no fault {data['fault']!r}: use one of {', '.join(known)}.")
        return cls(**data)

    def fits(self, call: Call) -> bool:
        """Whether a call is one that this rule is for."""
        wanted = ((call.service, self.service), (call.region, self.region), (call.operation, self.operation))
        return all(fnmatchcase(text, pattern) for text, pattern in wanted)

    def meets(self) -> bool:
        """Count a call that fits, and say whether it is met."""
        self.met += 1
        number = self.met - self.after
        return number > 0 and (not self.times or number <= self.times)


class Faults:
    """The rules of this process, and a count of the calls that came."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        """Forget every rule and count, and let go of the calls that hang."""
        self.rules: list[Fault] = []
        self.calls: Counter[Call] = Counter()
        released, self.released = getattr(self, "released", None), Event()
        if released:
            released.set()

    def add(self, fault: Fault) -> Fault:
        """Add a rule."""
        fault.id = next(self._numbers)
        with self._lock:
            self.rules.append(fault)
        return fault

    def remove(self, identity: int) -> bool:
        """Take a rule away; whether it was there."""
        with self._lock:
            left = [fault for fault in self.rules if fault.id != identity]
            found = len(left) < len(self.rules)
            self.rules = left
        return found

    def meet(self, call: Call) -> Fault | None:
        """Count a call, and return the first rule that meets it."""
        with self._lock:
            self.calls[call] += 1
            return next((fault for fault in self.rules if fault.fits(call) and fault.meets()), None)

    def shown(self) -> list[dict[str, Any]]:
        """Return the rules as data, without what they leave open."""
        plain = {each.name: each.default for each in fields(Fault)}
        return [{k: v for k, v in asdict(fault).items() if v != plain[k] or k == "met"} for fault in self.rules]


FAULTS = Faults()


class Gate:
    """A WSGI application in front of another."""

    def __init__(self, application: Callable[[Environ, Start], Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer one request."""
        call = seen(environ)
        if call is None:
            return self._application(environ, start)
        if call.service == "lightsail" and call.region not in REGIONS:
            hang_up(environ)  # AWS has no address for it
        time.sleep(SETTINGS.latency.get(call.region, SETTINGS.latency.get("default", 0)))
        released = FAULTS.released
        fault = FAULTS.meet(call)
        if fault is None:
            return self._application(environ, start)
        if fault.fault == "slow":
            released.wait(fault.seconds)
            return self._application(environ, start)
        if fault.fault == "hang":
            released.wait(HANGS_AT_MOST)
        if fault.fault in ("hang", "reset"):
            hang_up(environ)
        return refuse(fault, call, start)


def seen(environ: Environ) -> Call | None:
    """Return what a request wants; nothing where it is no call of AWS."""
    try:
        scope = environ["HTTP_AUTHORIZATION"].split("Credential=")[1].split(",")[0]
        _key, _date, region, service, _end = scope.split("/")
    except (KeyError, IndexError, ValueError):
        return None
    # Read it in any case: what is left of it would be taken for the next request of the connection.
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return Call(service, region, target.rpartition(".")[2], "json")
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(body.decode()).get("Action", [""])[0]
        return Call(service, region, action, "ec2" if service == "ec2" else "query")
    return Call(service, region, f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", "query")


def hang_up(environ: Environ) -> None:
    """Close the connection without an answer."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


def refuse(fault: Fault, call: Call, start: Start) -> list[bytes]:
    """Answer as AWS does when this goes wrong."""
    if fault.fault == "garbage":
        start("200 OK", [("Content-Type", "text/html")])
        return [b"<!doctype html><p>Sign in to the network"]
    said = answers()[fault.fault]
    status, code, message = said.get(call.protocol, said["json"])
    code, message = fault.code or code, fault.message or message
    headers = [("x-amzn-RequestId", f"fault-{fault.id}")]
    if call.protocol == "json":
        headers += [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)]
        body = json.dumps({"__type": code, "message": message})
    else:
        headers += [("Content-Type", "text/xml")]
        error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        body = (
            f"<Response><Errors><Error>{error}</Error></Errors><RequestID>fault-{fault.id}</RequestID></Response>"
            if call.protocol == "ec2"
            else f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>fault</RequestId></ErrorResponse>"
        )
    start(f"{fault.status or status} {code}", headers)
    return [body.encode()]
