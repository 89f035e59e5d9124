# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a fleet needs of its hosts' memory and of its servers' connections, and what they have: for contract and plan.

Memory is in MB.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ansible_collections.minato.fleet.plugins.plugin_utils import wiring
from ansible_collections.minato.fleet.plugins.plugin_utils.catalog import App
from ansible_collections.minato.fleet.plugins.plugin_utils.contract_fleet import Fleet, Host, megabytes

# Connections of a server that no app's pool may take: the master's own, a person's, a dump's.
RESERVED_CONNECTIONS = 10
# Memory by the name that Lightsail's plans and EC2's t3 and t4g types share.
SIZES = {"micro": 1024, "small": 2048, "medium": 4096, "large": 8192, "xlarge": 16384, "2xlarge": 32768}

TWICE = "twice"
TWICE_MEANS = f"{TWICE}: another release is started beside the one that serves (switch: beside)"
# Label, amount and what follows it; a heading has no amount.
Row = tuple[str, "int | None", str]


class Part(t.NamedTuple):
    """One term of a sum: so many processes of one size (``300M``, or so many connections) in so many slots."""

    name: str
    processes: int
    size: str
    each: int
    slots: int = 1

    @property
    def total(self) -> int:
        return self.processes * self.slots * self.each

    def __str__(self) -> str:
        if self.slots == 1:
            return self.once
        several = f"{self.processes} processes, " if self.processes > 1 else ""
        return f"{self.name} {self.processes * self.slots} x {self.size} ({several}twice while it is switched)"

    @property
    def once(self) -> str:
        """The term without its slots."""
        return f"{self.name} {self.processes} x {self.size}" if self.processes > 1 else f"{self.name} {self.size}"

    @property
    def row(self) -> str:
        """The term as a table has it: short."""
        return self.once if self.slots == 1 else f"{self.once}, {TWICE}"


def memory_parts(fleet: Fleet, host: Host) -> list[Part]:
    """What the apps, Redis and the base take of a host's memory."""
    parts = [_memory(app["name"], app["memory_max"], app["instances"], _slots(app)) for app in fleet.apps_of(host)]
    if "redis" in host.types:
        parts.append(_memory("redis", f"{redis_memory(megabytes(host.redis['memory_max']))}M"))
    return [*parts, _memory("base", fleet.base_memory)]


def _slots(app: App) -> int:
    """How many releases run at most: an app that is switched without downtime is there twice for a while."""
    return len(wiring.slots(app))


def redis_memory(data: int) -> int:
    """What the role redis lets the whole service take, for so much data."""
    return data * 5 // 4 + 48


def _memory(name: str, size: str, processes: int = 1, slots: int = 1) -> Part:
    return Part(name, processes, size, megabytes(size), slots)


def largest_build(fleet: Fleet, host: Host) -> Part | None:
    """What the host's largest build takes while the apps run. A migration runs here whatever was built elsewhere."""
    here = [app for app in fleet.apps_of(host) if _is_built_on_host(app) or app["migrate"]]
    builds = [_memory(app["name"], app["build_memory_max"]) for app in here]
    return max(builds, key=lambda part: part.total, default=None)


def _is_built_on_host(app: App) -> bool:
    return app["build_on"] == "host" and "artifact" not in app


def swap(memory: int) -> int:
    """The swap that the role base gives a host by itself."""
    if memory <= 1024:
        return 1024
    return 2048 if memory <= 4096 else 0


def size_for(memory: int) -> str:
    """The smallest instance with so much memory, in words."""
    for name, size in SIZES.items():
        if size >= memory:
            return f"{name} ({size // 1024} GB)"
    return f"one with {memory} MB"


def connection_parts(fleet: Fleet, server: str) -> list[Part]:
    """What the pools of all processes on all hosts take of a server's connections."""
    apps = [app for app in fleet.used if app.get("database", {}).get("server") == server]
    return [part for app in apps for part in _pools(fleet, app)]


def _pools(fleet: Fleet, app: App) -> Iterator[Part]:
    """What an app's hosts take; those that it is leaving serve until it has moved, and switch nothing meanwhile."""
    name, processes, pool = app["name"], app["instances"], app["database"]["pool"]
    yield Part(name, len(fleet.hosts_of(app)) * processes, str(pool), pool, _slots(app))
    leaving = sum(name in host.leaving and name not in host.app_names for host in fleet.hosts)
    if leaving:
        yield Part(f"{name} where it leaves", leaving * processes, str(pool), pool)


def total(parts: list[Part]) -> int:
    return sum(part.total for part in parts)


def switch_remedy(parts: list[Part], rest: int, room: int, unit: str) -> str:
    """What `switch: restart` would save, in words; empty where no part is there twice.

    Args:
        parts: The terms of a sum that is too large.
        rest: What is in the sum beside them.
        room: What there is.
        unit: ``MB`` or ``connections``.
    """
    if all(part.slots == 1 for part in parts):
        return ""
    once = sum(part.processes * part.each for part in parts) + rest
    fits = "which would fit" if once <= room else "which would not fit either"
    return (
        f" write `switch: restart` for an app that may be away while it is deployed (each once: {once} {unit}, {fits}),"
    )


def table(fleet: Fleet) -> list[str]:
    """The plan of a fleet: for each host its memory, for each database server its connections, a line a part."""
    rows: list[Row] = []
    for host in fleet.hosts:
        rows += _host_rows(fleet, host)
    for server, settings in sorted(fleet.databases.items()):
        rows += _server_rows(fleet, server, settings.get("max_connections"))
    if any(app["switch"] == "beside" for app in fleet.used):
        rows.append((TWICE_MEANS, None, ""))
    width = max((len(label) for label, amount, _after in rows if amount is not None), default=0)
    return [label if amount is None else f"  {label:<{width}}{amount:>8}{after}" for label, amount, after in rows]


def _host_rows(fleet: Fleet, host: Host) -> Iterator[Row]:
    parts = memory_parts(fleet, host)
    have = f"{host.memory_mb} MB" if host.memory_mb else "memory unknown: write fleet_memory_mb"
    yield f"{host.name} ({', '.join(host.types) or 'no type'}; {have})", None, ""
    yield from ((part.row, part.total, " MB") for part in parts)
    needed = total(parts)
    yield "sum", needed, f" MB{_left(host.memory_mb, needed, 'MB')}"
    build = largest_build(fleet, host)
    if build and host.memory_mb:
        room = host.memory_mb + swap(host.memory_mb)
        peak = needed + build.total
        yield f"while {build.name} is built", peak, f" MB{_left(room, peak, 'MB')}, with swap"


def _server_rows(fleet: Fleet, server: str, limit: int | None) -> Iterator[Row]:
    parts = connection_parts(fleet, server)
    have = f"{limit} connections" if limit else "limit unknown: write fleet_database.max_connections"
    yield f"{server} (database; {have})", None, ""
    yield from ((part.row, part.total, "") for part in parts)
    yield "reserve", RESERVED_CONNECTIONS, ""
    needed = total(parts) + RESERVED_CONNECTIONS
    yield "sum", needed, _left(limit, needed, "connections")


def _left(have: int | None, needed: int, unit: str) -> str:
    if not have:
        return ""
    return f"   {have - needed} {unit} left" if have >= needed else f"   {needed - have} {unit} too many"
