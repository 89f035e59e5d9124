"""What is asked of the two systems: users, their requests, and the command that sends them. Only data in, data out.

Import it as ansible_collections.minato.fleet.benchmarks.load.plan.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

SITE = "https://api.s2.test"
WRITERS = 10  # one user in so many writes; the others read lists
PATIENCE = 20  # seconds until the tool takes a request for unanswered
# For two cores that also carry the database, the web servers and the load itself.
DEFAULTS = {"USERS": "20", "RATE": "200", "MINUTES": "2", "SOCKETS": "20"}
PLACE = "/var/tmp/load"  # of what the tool prints, in the container that the load comes from


class Load(NamedTuple):
    """How much is asked of both systems together: users, requests a second, minutes, and WebSockets that stay open."""

    users: int
    rate: float
    minutes: float
    sockets: int

    @classmethod
    def told(cls, variables: Mapping[str, str]) -> Load:
        """From USERS, RATE, MINUTES and SOCKETS; what is not said, or empty, has its default.

        Raises:
            ValueError: One of them cannot be.
        """
        told = {name: variables.get(name, "") or value for name, value in DEFAULTS.items()}
        for name, value in told.items():
            if not re.fullmatch(r"[0-9]+(\.[0-9]+)?" if name in ("RATE", "MINUTES") else r"[0-9]+", value):
                raise ValueError(f"{name}={value} is no number that can be used. Write one, such as {DEFAULTS[name]}.")
        load = cls(int(told["USERS"]), float(told["RATE"]), float(told["MINUTES"]), int(told["SOCKETS"]))
        if load.users < 4 or load.users % 2:
            raise ValueError(
                "USERS: half of them use each system, and of these one writes. Write an even number from 4 on."
            )
        if load.rate <= 0 or load.minutes <= 0 or load.sockets < 1:
            raise ValueError("RATE, MINUTES and SOCKETS: write numbers above 0.")
        return load

    @property
    def user_rate(self) -> float:
        """Requests a second of one user."""
        return self.rate / self.users

    @property
    def user_requests(self) -> int:
        """Requests of one user in all."""
        return max(1, round(self.user_rate * self.minutes * 60))

    @property
    def patience(self) -> float:
        """Seconds after which whoever still asks is stopped: half as long again as it should take."""
        return self.minutes * 60 * 1.5 + PATIENCE


class User(NamedTuple):
    """One user: the app, ``lists`` or ``writes``, its number, and how many seconds after the first one it begins."""

    app: str
    kind: str
    number: int
    begins: float

    @property
    def name(self) -> str:
        return f"{self.app}.{self.kind}.{self.number}"


def users(load: Load, apps: list[str]) -> list[User]:
    """The users of all apps, who take turns in one beat: no two ask at the same moment."""
    each = load.users // len(apps)
    writers = max(1, round(each / WRITERS))
    return [
        User(app, "writes" if number < writers else "lists", number, (number * len(apps) + place) / load.rate)
        for number in range(each)
        for place, app in enumerate(apps)
    ]


def script(load: Load, who: list[User], requests: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    """The shell script that lets them all ask, and ends when the last has ended.

    A process of hey for each user: the workers of one process would all ask at the same moment. Each is given a number
    of requests and no time, so that it is known how many had no answer. It writes NAME.csv and NAME.error; NAME.began
    has the time of its beginning.

    Args:
        load: How much.
        who: The users.
        requests: For an app and a kind the ``path``, ``headers``, and ``body`` where there is one.
    """
    lines = [f"rm -rf {PLACE}", f"mkdir {PLACE}", f"cd {PLACE}"]
    for user in who:
        request = requests[user.app, user.kind]
        hey = f"hey -o csv -c 1 -n {load.user_requests} -q {load.user_rate:g} -t {PATIENCE}".split()
        for header, value in request["headers"].items():
            hey += ["-H", f"{header}: {value}"]
        if "body" in request:
            hey += ["-m", "POST", "-T", "application/json", "-d", json.dumps(request["body"], ensure_ascii=False)]
        command = shlex.join(["timeout", "--signal=INT", f"{load.patience:.0f}", *hey, SITE + request["path"]])
        files = f">{user.name}.csv 2>{user.name}.error"
        lines.append(f"(sleep {user.begins:.3f}; date +%s.%N >{user.name}.began; exec {command} {files}) &")
    return "\n".join([*lines, "wait", ""])
