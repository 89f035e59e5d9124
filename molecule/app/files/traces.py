"""Says where on this host one of the lines of its input is: in a file, in the journal, or with a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

PLACES = ("/etc", "/root", "/opt", "/srv", "/var", "/tmp", "/run", "/home", "/dev/shm")


def has(path: str, wanted: list[bytes]) -> bool:
    """Whether a file has one of the lines; one that has gone has none."""
    try:
        with open(path, "rb") as stream:
            text = stream.read()
    except OSError:
        return False
    return any(line in text for line in wanted)


def files() -> Iterator[str]:
    """Every plain file, and what processes were told."""
    for place in PLACES:
        for directory, _directories, names in os.walk(place):
            paths = (os.path.join(directory, name) for name in names)
            yield from (path for path in paths if os.path.isfile(path))
    for pid in filter(str.isdigit, os.listdir("/proc")):
        yield from (f"/proc/{pid}/cmdline", f"/proc/{pid}/environ")


def main() -> None:
    wanted = sys.stdin.buffer.read().split()
    found = [path for path in files() if has(path, wanted)]
    journal = subprocess.run(["journalctl", "--all", "--no-pager"], stdout=subprocess.PIPE, check=True).stdout
    print(" ".join([*found, *(["the journal"] if any(line in journal for line in wanted) else [])]))


main()
