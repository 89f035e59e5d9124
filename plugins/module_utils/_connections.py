# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is connected to a port of this host, as the kernel tells it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
ESTABLISHED = "01"
PAUSE = 0.1  # seconds between two looks


def parse(lines: Iterable[str], ports: set[int]) -> int:
    """How many established connections to the ports a table of /proc/net has; the first line is its head."""
    rows = (line.split() for line in list(lines)[1:])
    return sum(row[3] == ESTABLISHED and int(row[1].rsplit(":", 1)[1], 16) in ports for row in rows)


def connected(ports: set[int]) -> int:
    """How many connections to the ports there are now, whoever made them."""
    count = 0
    for path in filter(os.path.exists, TABLES):  # a host without IPv6 has one
        with open(path, encoding="ascii") as table:
            count += parse(table, ports)
    return count


def drain(ports: Iterable[int], seconds: float) -> int:
    """Wait until nobody is connected to the ports, ``seconds`` at most. Returns how many still are."""
    end, those = time.monotonic() + seconds, set(ports)
    while True:
        count = connected(those)
        if not count or time.monotonic() >= end:
            return count
        time.sleep(PAUSE)
