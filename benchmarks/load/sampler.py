"""Says each second what a host and its processes use, a line of JSON each, until its standard input ends.

Runs on the host that it looks at, so it needs Python's own library alone.
"""

from __future__ import annotations

import functools
import json
import os
import pwd
import select
import sys
import time
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
EVERY = 1.0  # seconds
# What the kernel counts of a container as a whole: CPU in seconds, memory in bytes, and how much of that are files that
# it could drop at once. The files of cgroup v2, and those of v1.
WHOLE = (
    (("cpu.stat", "usage_usec", 1e-6), ("memory.current", "", 1), ("memory.stat", "inactive_file", 1)),
    (
        ("cpuacct/cpuacct.usage", "", 1e-9),
        ("memory/memory.usage_in_bytes", "", 1),
        ("memory/memory.stat", "total_inactive_file", 1),
    ),
)


def figure(path: Path, key: str) -> int:
    """The number in a file, or the one that stands behind a key there.

    Raises:
        OSError: There is no such file.
        KeyError: The file does not have the key.
    """
    lines = [line.split() for line in path.read_text().splitlines()]
    return int(dict(lines)[key] if key else lines[0][0])


def host(groups: Path) -> dict[str, float]:
    """Seconds of CPU and bytes of memory that the container has used: {cpu, memory}.

    Args:
        groups: Where the control groups are mounted.
    """
    version = WHOLE[0] if (groups / "cpu.stat").exists() else WHOLE[1]
    cpu, memory, spare = (figure(groups / name, key) * unit for name, key, unit in version)
    return {"cpu": cpu, "memory": memory - spare}


def process(directory: Path) -> dict[str, Any]:
    """One process: {id, user, daemon, cpu, memory}, in seconds and bytes; ``daemon`` is true of PM2's own.

    Raises:
        OSError: It has ended.
    """
    # The name stands in parentheses and may hold anything.
    fields = (directory / "stat").read_text().rpartition(")")[2].split()
    user = directory.stat().st_uid
    return {
        "id": f"{directory.name}-{fields[19]}",  # with the time of its start: numbers are given again
        "user": names().get(user, str(user)),
        "daemon": (directory / "cmdline").read_bytes().startswith(b"PM2 "),
        "cpu": (int(fields[11]) + int(fields[12])) / TICKS,
        "memory": int(fields[21]) * PAGE,
    }


@functools.cache
def names() -> dict[int, str]:
    """The name of each user by its number."""
    return {entry.pw_uid: entry.pw_name for entry in pwd.getpwall()}


def processes(proc: Path) -> list[dict[str, Any]]:
    """The processes of all users but root."""
    found = []
    for directory in proc.iterdir():
        try:
            if directory.name.isdigit() and directory.stat().st_uid:
                found.append(process(directory))
        except OSError:
            continue
    return found


def main() -> None:
    tick = time.monotonic()
    while True:
        sample = {
            "at": time.time(),
            "host": host(Path("/sys/fs/cgroup")),
            "processes": processes(Path("/proc")),
        }
        print(json.dumps(sample), flush=True)
        # After a pause of the whole host the next one is not taken at once: it would tell of no time at all.
        tick = max(tick + EVERY, time.monotonic() + EVERY / 2)
        if select.select([sys.stdin], [], [], max(0.0, tick - time.monotonic()))[0]:
            return


if __name__ == "__main__":
    main()
