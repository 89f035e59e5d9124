# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a fleet needs of its hosts' memory and of its servers' connections, and what they have: for contract and plan.

Memory is in MB.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ansible_collections.minato.fleet.plugins.plugin_utils.catalog import App
from ansible_collections.minato.fleet.plugins.plugin_utils.contract_fleet import Fleet, Host, megabytes

# Connections of a server that no app's pool may take: the master's own, a person's, a dump's.
RESERVED_CONNECTIONS = 10
# Memory by the name that Lightsail's plans and EC2's t3 and t4g types share.
SIZES = {"micro": 1024, "small": 2048, "medium": 4096, "large": 8192, "xlarge": 16384, "2xlarge": 32768}


class Part(t.NamedTuple):
    """One term of a sum: so many of one size, or of so many connections."""

    name: str
    times: int
    size: str
    total: int

    def __str__(self) -> str:
        return f"{self.name} {self.times} x {self.size}" if self.times > 1 else f"{self.name} {self.size}"


def memory_parts(fleet: Fleet, host: Host) -> list[Part]:
    """What the apps, Redis and the base take of a host's memory."""
    parts = [_part(app["name"], _processes(app), app["memory_max"]) for app in fleet.apps_of(host)]
    if "redis" in host.types:
        parts.append(_part("redis", 1, f"{redis_memory(megabytes(host.redis['memory_max']))}M"))
    return [*parts, _part("base", 1, fleet.base_memory)]


def _processes(app: App) -> int:
    """How many run at most: an app that is switched without downtime is there twice for a while."""
    return int(app["instances"]) * (2 if app["switch"] == "beside" else 1)


def redis_memory(data: int) -> int:
    """What the role redis lets the whole service take, for so much data."""
    return data * 5 // 4 + 48


def _part(name: str, count: int, size: str) -> Part:
    return Part(name, count, size, count * megabytes(size))


def largest_build(fleet: Fleet, host: Host) -> Part | None:
    """What the host's largest build takes while the apps run. A migration runs here whatever was built elsewhere."""
    here = [app for app in fleet.apps_of(host) if app["build_on"] == "host" or app["migrate"]]
    builds = [_part(app["name"], 1, app["build_memory_max"]) for app in here]
    return max(builds, key=lambda part: part.total, default=None)


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
    return [_pool(app, _hosts_with_processes(fleet, app) * _processes(app)) for app in apps]


def _hosts_with_processes(fleet: Fleet, app: App) -> int:
    """How many hosts run the app, with those that it is leaving."""
    return sum(app["name"] in (*host.app_names, *host.leaving) for host in fleet.hosts)


def _pool(app: App, processes: int) -> Part:
    pool = app["database"]["pool"]
    return Part(app["name"], processes, str(pool), processes * pool)


def total(parts: list[Part]) -> int:
    return sum(part.total for part in parts)


def table(fleet: Fleet) -> list[str]:
    """The plan of a fleet: for each host its memory, for each database server its connections, a line a part."""
    lines: list[str] = []
    for host in fleet.hosts:
        lines += _host_lines(fleet, host)
    for server, settings in sorted(fleet.databases.items()):
        lines += _server_lines(fleet, server, settings.get("max_connections"))
    return lines


def _host_lines(fleet: Fleet, host: Host) -> Iterator[str]:
    parts = memory_parts(fleet, host)
    have = f"{host.memory_mb} MB" if host.memory_mb else "memory unknown: write fleet_memory_mb"
    yield f"{host.name} ({', '.join(host.types) or 'no type'}; {have})"
    yield from (f"  {part!s:<40}{part.total:>7} MB" for part in parts)
    needed = total(parts)
    yield f"  {'sum':<40}{needed:>7} MB{_left(host.memory_mb, needed, 'MB')}"
    build = largest_build(fleet, host)
    if build and host.memory_mb:
        room = host.memory_mb + swap(host.memory_mb)
        peak = needed + build.total
        yield f"  {f'while {build.name} is built':<40}{peak:>7} MB{_left(room, peak, 'MB')}, with the swap"


def _server_lines(fleet: Fleet, server: str, limit: int | None) -> Iterator[str]:
    parts = connection_parts(fleet, server)
    have = f"{limit} connections" if limit else "limit unknown: write fleet_database.max_connections"
    yield f"{server} (database; {have})"
    yield from (f"  {part!s:<40}{part.total:>7}" for part in parts)
    yield f"  {'reserve':<40}{RESERVED_CONNECTIONS:>7}"
    needed = total(parts) + RESERVED_CONNECTIONS
    yield f"  {'sum':<40}{needed:>7}{_left(limit, needed, 'connections')}"


def _left(have: int | None, needed: int, unit: str) -> str:
    if not have:
        return ""
    return f"   {have - needed} {unit} left" if have >= needed else f"   {needed - have} {unit} too many"
