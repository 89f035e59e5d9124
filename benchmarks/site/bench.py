"""What a site run that changes nothing costs on S1: its module calls, and its seconds beside as many trivial tasks.

Needs the demo (``make demo``). Over the Docker connection and over ssh, whole processes, in turn, medians.
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
HOST = "minato-demo-app"
ROUNDS = int(os.environ.get("ROUNDS", "5"))
MOST_CALLS = 35
MOST_RATIO = 1.4


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def play(playbook: Path, connection: list[str]) -> tuple[float, list[dict[str, object]]]:
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
    command = ["ansible-playbook", "-i", "inventories/example", *connection, str(playbook)]
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
    plays = [{"hosts": "medical-1", "gather_facts": False, "become": True, "tasks": tasks}]
    path = WORK / "trivial.json"
    path.write_text(json.dumps(plays))
    return path


def ssh() -> list[str]:
    """The arguments that lead the inventory's hosts over ssh, with the host's key known beforehand."""
    key = WORK / "id_ed25519"
    if not key.exists():
        output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    inside = """
        command -v sshd >/dev/null ||
            (apt-get update -q && apt-get install -qy --no-install-recommends openssh-server) >/dev/null 2>&1
        mkdir -p -m 700 /root/.ssh
        cat > /root/.ssh/authorized_keys
        systemctl start ssh
        cat /etc/ssh/ssh_host_ed25519_key.pub
    """
    public = key.with_suffix(".pub").read_text()
    made = subprocess.run(
        ["docker", "exec", "-i", HOST, "bash", "-c", inside], input=public, text=True, capture_output=True, check=True
    )
    shape = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = output("docker", "inspect", "-f", shape, HOST).strip()
    (WORK / "known_hosts").write_text(f"{address} {made.stdout}")
    variables = {
        "ansible_connection": "ssh",
        "ansible_host": address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={WORK / 'known_hosts'}",
    }
    return ["--extra-vars", json.dumps(variables)]


def main() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    site = ROOT / "playbooks" / "site.yml"
    _seconds, calls = play(site, [])
    count = sum(int(str(call["calls"])) for call in calls)
    for call in calls:
        print(f"{call['calls']:>3}  {call['action']}: {call['task']}")
    print(f"{count:>3}  module calls on the host (asked: at most {MOST_CALLS})\n")
    print(f"Medians of {ROUNDS} (asked: a ratio of at most {MOST_RATIO})")
    print(f"{'connection':<12}{'site.yml':>10}{f'{count} trivial':>14}{'ratio':>8}")
    missed = count > MOST_CALLS
    for name, connection in (("docker", []), ("ssh", ssh())):
        pairs = [(play(site, connection)[0], play(trivial(count), connection)[0]) for round_ in range(ROUNDS)]
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{name:<12}{ours:>8.1f} s{theirs:>12.1f} s{ours / theirs:>8.2f}", flush=True)
        missed = missed or ours / theirs > MOST_RATIO
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
