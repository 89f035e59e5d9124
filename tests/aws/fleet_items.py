"""What the items of a fleet file have in common."""

from __future__ import annotations

import json
from typing import Any

Item = dict[str, Any]


class FleetError(ValueError):
    """What is wrong with a fleet, in one sentence."""


def tags_of(item: Item) -> list[dict[str, str]]:
    """Return tags as Lightsail has them; what YAML reads as another type is text in the cloud."""
    return [{"key": key, "value": text(value)} for key, value in item.get("tags", {}).items()]


def text(value: Any) -> str:
    """Return a scalar as it was written."""
    return value if isinstance(value, str) else json.dumps(value)


def ports_of(item: Item) -> list[dict[str, Any]]:
    """Return ports as Lightsail has them: a number is one of TCP, open to all."""
    ports = []
    for port in item["ports"]:
        rule = {"from": port} if isinstance(port, int) else port
        ports.append(
            {
                "fromPort": rule["from"],
                "toPort": rule.get("to", rule["from"]),
                "protocol": rule.get("protocol", "tcp"),
                "cidrs": rule.get("cidrs", []),
                "ipv6Cidrs": rule.get("ipv6_cidrs", []),
                "cidrListAliases": rule.get("aliases", []),
            }
        )
    return ports
