"""What goes wrong while an app is deployed, done to a real run.

Import it as ansible_collections.minato.fleet.molecule.shared.faults.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from ansible_collections.minato.fleet.molecule.shared.playbook import PLAIN, ROOT, ansible_playbook

CALLBACKS = str(ROOT / "benchmarks" / "callback")


def start(playbook: str, inventory: Path, app: str, **environment: str) -> subprocess.Popen[bytes]:
    """Begin a playbook about an app, in a process group of its own."""
    command = [*ansible_playbook(ROOT / "playbooks" / f"{playbook}.yml", str(inventory)), "-e", f"app={app}"]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **PLAIN, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_before(task: int | str, inventory: Path, app: str) -> bool:
    """Deploy an app, and kill the controller before one task of the deploy; False where it has no such task.

    task: its number, or how its name begins.
    """
    run = start(
        "deploy",
        inventory,
        app,
        KILL_AT=str(task),
        ANSIBLE_CALLBACK_PLUGINS=CALLBACKS,
        ANSIBLE_CALLBACKS_ENABLED="kill_at",
    )
    return run.wait(600) == -signal.SIGKILL


def kill_after(seconds: float, inventory: Path, app: str) -> bool:
    """Deploy an app, and kill the controller after a time; False where it was done by then."""
    run = start("deploy", inventory, app)
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        return True
    return False


def tasks(inventory: Path, app: str, names: Path) -> dict[int, str]:
    """Deploy an app; gives the names of the deploy's tasks that did something on the host, by their numbers."""
    names.unlink(missing_ok=True)
    run = start(
        "deploy",
        inventory,
        app,
        KILL_AT="0",
        KILL_LIST=str(names),
        ANSIBLE_CALLBACK_PLUGINS=CALLBACKS,
        ANSIBLE_CALLBACKS_ENABLED="kill_at",
    )
    assert run.wait(600) == 0
    lines = (line.split(" ", 1) for line in names.read_text(encoding="utf-8").splitlines())
    return {int(number): name for number, name in lines}


def settle(seconds: float = 1.0) -> None:
    """What a killed controller has begun on the host comes to its end there."""
    time.sleep(seconds)
