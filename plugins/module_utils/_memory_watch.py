# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much memory the processes of systemd's units have at most, while they start."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from ansible_collections.minato.fleet.plugins.module_utils._processes import memory_peak

_CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
_FIRST, _LAST, _GROWTH = 0.005, 0.1, 1.05  # seconds between two looks


class MemoryWatch(threading.Thread):
    """Looks again and again, the more often the younger they are: of a process that has ended the kernel tells nothing.

    `slices` has the slice of each unit. `peaks` is given the bytes of each unit's biggest process.
    """

    def __init__(self, slices: Mapping[str, str], peaks: dict[str, int]) -> None:
        """Take what is to be watched; `with` begins it, and ends it."""
        super().__init__(daemon=True)
        self._peaks = peaks
        self._files = {
            unit: [f"{root}/{cgroup(unit, name)}/cgroup.procs" for root in _CGROUPS] for unit, name in slices.items()
        }
        self._over = threading.Event()

    def __enter__(self) -> MemoryWatch:
        """Begin to watch."""
        self.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        """Watch no more."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Watch until it is over."""
        pause = _FIRST
        while not self._over.wait(pause):
            pause = min(pause * _GROWTH, _LAST)
            for unit, files in self._files.items():
                sizes = [memory_peak(pid) for path in files for pid in _pids(path)]
                self._peaks[unit] = max([self._peaks.get(unit, 0), *sizes])


def cgroup(unit: str, slice_name: str) -> str:
    """Return the path of a unit's control group: system-web.slice lies in system.slice."""
    parts = slice_name[: -len(".slice")].split("-") if slice_name.strip("-") != ".slice" else []
    slices = ["-".join(parts[: number + 1]) + ".slice" for number in range(len(parts))]
    return "/".join([*slices, unit])


def _pids(path: str) -> list[int]:
    try:
        with open(path, encoding="ascii") as file:
            return [int(line) for line in file]
    except OSError:
        return []
