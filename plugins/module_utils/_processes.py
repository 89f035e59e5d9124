# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the kernel and systemd say of a running process."""

from __future__ import annotations

import calendar
import ctypes
import os
import re
import time

# How `systemctl show --timestamp` is asked for times: the most exact form that systemd 249 (Ubuntu 22.04) knows.
TIMESTAMPS = "us+utc"


class UnseenError(Exception):
    """The kernel does not say what it was asked. The message says what to do about it."""


def working_directory(pid: int) -> str:
    """Return where a process runs, as the kernel tells it; nothing where it has ended. Raises UnseenError."""
    for _attempt in range(20):
        found = _ask_kernel(pid)
        if found is not None:
            return found
        time.sleep(0.05)  # a process that is about to start or to end is nobody's
    raise UnseenError(f"the kernel does not say where process {pid} runs: the task has to run as root")


def _ask_kernel(pid: int) -> str | None:
    libc = ctypes.CDLL(None)
    try:
        owner = os.stat(f"/proc/{pid}")
        # A container's root may not look into others' processes, but whoever counts as their user may.
        libc.setfsgid(owner.st_gid)
        libc.setfsuid(owner.st_uid)
        return os.readlink(f"/proc/{pid}/cwd")
    except PermissionError:
        return None
    except OSError:
        return ""
    finally:
        libc.setfsuid(os.geteuid())
        libc.setfsgid(os.getegid())


def memory_peak(pid: int) -> int:
    """Return the most memory that a process has had at a time, in bytes; 0 where it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            found = re.search(r"^VmHWM:\s*(\d+) kB", status.read(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) << 10 if found else 0


def parse_time(text: str) -> float:
    """Return the seconds since 1970 of a time as systemd writes it by `TIMESTAMPS`; 0 for none."""
    found = re.search(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(\.\d+)? UTC", text)
    if not found:
        return 0.0
    return calendar.timegm(tuple(int(each) for each in found.groups()[:6])) + float(found.group(7) or 0)
