"""What a scenario's second run cost, from the file that the callback run_cost wrote during it.

Prints the module calls on the busiest host, and the seconds of the playbook: ``3 calls, 2.1 s``.
"""

from __future__ import annotations

import collections
import json
import sys
from pathlib import Path


def runs(path: Path) -> list[list[dict[str, object]]]:
    """The lines of each run of converge.yml (or site.yml) that was no rehearsal."""
    found: list[list[dict[str, object]]] = []
    current: list[dict[str, object]] = []
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        if "playbook" in line:
            current = [line]
            if line["playbook"] in ("converge", "site") and not line["check"]:
                found.append(current)
        else:
            current.append(line)
    return found


def main() -> None:
    path = Path(sys.argv[1])
    found = runs(path) if path.exists() else []
    if len(found) < 2:
        print("-")
        return
    calls: collections.Counter[object] = collections.Counter()
    for line in found[1]:
        if "calls" in line:
            calls[line["host"]] += int(str(line["calls"]))
    seconds = next((float(str(line["seconds"])) for line in found[1] if "seconds" in line), 0.0)
    print(f"{max(calls.values(), default=0)} calls, {seconds:.1f} s")


if __name__ == "__main__":
    main()
