"""The containers of the benchmark: made, deployed to, and asked what they do.

Import it as ansible_collections.minato.fleet.benchmarks.deploy.world.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / ".ansible" / "bench-deploy"
LOG = WORK / "ansible.log"
STATE = ROOT / ".ansible" / "bench_deploy"
SCENARIO = ROOT / "molecule" / "site_deploys"
HOST, OUTSIDE = "minato-bench_deploy-1", "minato-bench_deploy-outside"
AROUND = ("-i", "molecule/shared/inventory", "-e", f"@{HERE / 'vars.yml'}", "-e", "world_recreate=true")
FLEET = (
    *("-i", str(SCENARIO / "inventory" / "hosts.yml"), "-i", str(HERE / "hosts.yml")),
    *("-e", f"world_dir={STATE}"),
)
# Of whoever logs in to the host.
PATH = "/opt/node/20/bin:/opt/pm2/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LAST = 19  # niceness
GROUPED = Path("/proc/sys/kernel/sched_autogroup_enabled")
Json = dict[str, Any]


def build() -> None:
    """The world anew, and both systems in it by site.yml."""
    remove()
    _must("the world", *AROUND, "molecule/shared/world.yml")
    _must("what Redis needs in containers", *FLEET, str(SCENARIO / "prepare.yml"))
    _must("site.yml", *FLEET, "playbooks/site.yml")
    _wait_for_users()


@contextlib.contextmanager
def niceness_counts() -> Iterator[None]:
    """Between sessions too. Where the kernel gives each session an equal part, every task that Ansible runs has one."""
    before = GROUPED.read_text(encoding="ascii") if GROUPED.exists() else ""
    if before:
        GROUPED.write_text("0", encoding="ascii")
    try:
        yield
    finally:
        if before:
            GROUPED.write_text(before, encoding="ascii")


def _wait_for_users() -> None:
    """Let what the controller does on the host take what users leave, from how it comes in on: docker exec's shim."""
    init = subprocess.check_output(["docker", "inspect", "--format={{.State.Pid}}", HOST], text=True).strip()
    found = re.search(r"^PPid:\s*(\d+)", Path(f"/proc/{init}/status").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        sys.exit(f"{HOST} has no process {init}")
    os.setpriority(os.PRIO_PGRP, os.getpgid(int(found[1])), LAST)


def remove() -> None:
    """Take the world away again; nothing happens where there is none."""
    _must("the world is taken away", *AROUND, "molecule/shared/world_absent.yml")


def play(playbook: str, variables: Json) -> tuple[bool, list[Json]]:
    """Run a playbook on the fleet: whether it ended well, and its tasks as the callback task_times writes them."""
    record = WORK / "tasks"
    record.unlink(missing_ok=True)
    environment = {
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "task_times",
        "TASK_TIMES": str(record),
    }
    done = _run(*FLEET, "-e", json.dumps(variables), playbook, **environment)
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    return done == 0, [json.loads(line) for line in lines]


def _must(what: str, *arguments: str) -> None:
    """Run a playbook: a line for it here, its own words in a file, and the end of the run where it fails."""
    began = time.monotonic()
    code = _run(*arguments)
    if code:
        words = LOG.read_text(encoding="utf-8")[-6000:]
        sys.exit(f"{words}\n{what}: failed with {code}. All of it: {LOG.relative_to(ROOT)}")
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)


def _run(*arguments: str, **environment: str) -> int:
    with LOG.open("a", encoding="utf-8") as out:
        # On a fleet the controller is a machine of its own. Here it takes what the host and its users leave.
        command = ["nice", "-n", str(LAST), "ansible-playbook", *arguments]
        environ = {**os.environ, **environment}
        return subprocess.run(command, cwd=ROOT, env=environ, stdout=out, stderr=out, check=False).returncode


def on_host(script: str, *arguments: str) -> tuple[bool, str]:
    """Run a shell script on the host, as a person there would: whether it ended well, and what it printed."""
    command = ["docker", "exec", "-i", "-e", f"PATH={PATH}", HOST, "bash", "-s", "--", *arguments]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    with LOG.open("a", encoding="utf-8") as out:
        out.write(f"{done.stdout}{done.stderr}")
    return done.returncode == 0, done.stdout


def must_on_host(script: str, *arguments: str) -> str:
    """What a shell script prints on the host. The run ends where it fails."""
    well, said = on_host(script, *arguments)
    if not well:
        sys.exit(f"{HOST}: a command failed. All of it: {LOG.relative_to(ROOT)}\n{script}")
    return said
