# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The built result as it is kept: part by part, so that one region's last good answer can stand in for it."""

from __future__ import annotations

import base64
import json
import typing as t
import zlib
from dataclasses import dataclass, field

from ansible_collections.minato.fleet.plugins.plugin_utils.aws_hosts import Host

FORMAT = 1
KEY = "aws_fleet"


@dataclass
class Kept:
    """The hosts of one part, and when they were asked for; stale where the cloud did not answer after that."""

    at: float
    hosts: list[Host]
    stale: bool = False


@dataclass
class Result:
    """All parts by name, and when all of them were last asked for; 0 where some part is missing."""

    at: float = 0.0
    parts: dict[str, Kept] = field(default_factory=dict)
    # In the order in which hosts are added.
    order: list[str] = field(default_factory=list)

    def fresh(self, now: float, seconds: float) -> bool:
        """Whether it may be used without asking; 0 seconds are for ever, as everywhere in Ansible."""
        return self.at > 0 and (seconds == 0 or now - self.at <= seconds)


def pack(result: Result) -> dict[str, t.Any]:
    """For one of Ansible's cache plugins. One text: they take long over every single value."""
    parts = {name: [kept.at, kept.stale, [vars(host) for host in kept.hosts]] for name, kept in result.parts.items()}
    data = json.dumps([FORMAT, result.at, result.order, parts], separators=(",", ":"))
    return {KEY: base64.b64encode(zlib.compress(data.encode(), 1)).decode()}


def unpack(packed: t.Any) -> Result | None:
    """What was kept; None where it is not ours, broken or of another version."""
    try:
        version, at, order, parts = json.loads(zlib.decompress(base64.b64decode(packed[KEY])))
        if version != FORMAT:
            return None
        kept = {
            name: Kept(
                when, [Host(**{**host, "parents": [tuple(pair) for pair in host["parents"]]}) for host in hosts], stale
            )
            for name, (when, stale, hosts) in parts.items()
        }
    except (KeyError, TypeError, ValueError, zlib.error):
        return None
    return Result(at, kept, order)


def age(seconds: float) -> str:
    """``90`` is 1 minute, ``7300`` 2 hours."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{int(seconds)} seconds"
