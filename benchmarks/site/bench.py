"""What a site run that changes nothing costs on S1: its module calls, and its seconds beside as many trivial tasks.

Needs the demo (``make demo``). Over ssh, as the demo's inventory leads there; whole processes, in turn, medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORK = ROOT / ".ansible" / "bench-site"
ROUNDS = int(os.environ.get("ROUNDS", "5"))
MOST_CALLS = 35
MOST_RATIO = 1.4


def play(playbook: Path) -> tuple[float, list[dict[str, object]]]:
    """Seconds and module calls of one run, which must change nothing."""
    record = WORK / "calls"
    record.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE.parent / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "run_cost",
        "RUN_COST": str(record),
        "ANSIBLE_NOCOLOR": "1",
    }
    command = ["ansible-playbook", "-i", "inventories/example", str(playbook)]
    began = time.monotonic()
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)
    seconds = time.monotonic() - began
    recap = run.stdout.partition("PLAY RECAP")[2]
    if run.returncode or any(f"changed={digit}" in recap for digit in "123456789"):
        sys.exit(f"This run was to change nothing and to succeed:\n{run.stdout}{run.stderr}")
    return seconds, [line for line in map(json.loads, record.read_text().splitlines()) if "calls" in line]


def trivial(count: int) -> Path:
    """A playbook of as many tasks that do next to nothing."""
    nothing = {"path": "/etc", "state": "directory"}
    tasks = [{"name": f"Trivial {number}", "ansible.builtin.file": nothing} for number in range(count)]
    plays = [{"hosts": "type_node", "gather_facts": False, "become": True, "tasks": tasks}]
    path = WORK / "trivial.json"
    path.write_text(json.dumps(plays))
    return path


def main() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    site = ROOT / "playbooks" / "site.yml"
    _seconds, calls = play(site)
    count = sum(int(str(call["calls"])) for call in calls)
    for call in calls:
        print(f"{call['calls']:>3}  {call['action']}: {call['task']}")
    print(f"{count:>3}  module calls on the host (asked: at most {MOST_CALLS})\n")
    pairs = [(play(site)[0], play(trivial(count))[0]) for _round in range(ROUNDS)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"Medians of {ROUNDS}: site.yml {ours:.1f} s, {count} trivial tasks {theirs:.1f} s")
    print(f"{ours / theirs:.2f}  times as long (asked: at most {MOST_RATIO})")
    sys.exit(1 if count > MOST_CALLS or ours / theirs > MOST_RATIO else 0)


if __name__ == "__main__":
    main()
