"""How much is done and asked, from the variables of make bench-deploy. Only data in, data out.

Import it as ansible_collections.minato.fleet.benchmarks.deploy.plan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

# Of each app, and of each rival. Requests and WebSockets are on the app at hand.
DEFAULTS = {"DEPLOYS": "20", "ROLLBACKS": "5", "RIVALS": "5", "RATE": "200", "SOCKETS": "20", "REST": "20"}


class Plan(NamedTuple):
    """Deploys and rollbacks of each app, deploys of each rival, requests a second, WebSockets, seconds at rest."""

    deploys: int
    rollbacks: int
    rivals: int
    rate: int
    sockets: int
    rest: int

    @classmethod
    def told(cls, variables: Mapping[str, str]) -> Plan:
        """From DEPLOYS, ROLLBACKS, RIVALS, RATE, SOCKETS and REST; what is not said, or empty, has its default.

        Raises:
            ValueError: One of them cannot be.
        """
        told = {name: variables.get(name, "") or value for name, value in DEFAULTS.items()}
        for name, value in told.items():
            if not re.fullmatch(r"[0-9]+", value):
                raise ValueError(f"{name}={value} is no whole number. Write one, such as {DEFAULTS[name]}.")
        plan = cls(*(int(value) for value in told.values()))
        if plan.rate < 1 or plan.sockets < 1 or plan.rest < 1:
            raise ValueError("RATE, SOCKETS and REST: write numbers above 0.")
        if plan.rollbacks and not plan.deploys:
            raise ValueError("ROLLBACKS: there is nothing to go back to without a deploy. Write DEPLOYS=1 or more.")
        return plan
