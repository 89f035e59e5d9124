"""The containers of the benchmark: made, deployed to, asked and looked at.

Import it as ansible_collections.minato.fleet.benchmarks.load.world.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / ".ansible" / "bench-load"
LOG = WORK / "ansible.log"
STATE = ROOT / ".ansible" / "bench_load"
SCENARIO = ROOT / "molecule" / "site_two_systems"
# As the inventory and the tables name them.
CONTAINERS = {
    "systems-1": "minato-bench_load-1",
    "systems-2": "minato-bench_load-2",
    "database server": "minato-bench_load-db",
    "load": "minato-bench_load-outside",
}
AROUND = ("-i", "molecule/shared/inventory", "-e", f"@{HERE / 'vars.yml'}", "-e", "world_recreate=true")


def build(pattern: int) -> None:
    """The world anew, both systems in it by site.yml, and the load tool outside."""
    scenario = SCENARIO / "inventory" / f"pattern_{pattern}.yml"
    fleet = ("-i", str(scenario), "-i", str(HERE / "hosts.yml"), "-e", f"world_dir={STATE}")
    remove()
    _play(f"Pattern {pattern}: the world", *AROUND, "molecule/shared/world.yml")
    _play(f"Pattern {pattern}: what Redis needs in containers", *fleet, str(SCENARIO / "prepare.yml"))
    _play(f"Pattern {pattern}: site.yml", *fleet, "playbooks/site.yml")
    run_in("load", "apt-get install --yes --no-install-recommends hey >/dev/null")


def remove() -> None:
    """Take the world away again; nothing happens where there is none."""
    _play("the world is taken away", *AROUND, "molecule/shared/world_absent.yml")


def _play(what: str, *arguments: str) -> None:
    """Run a playbook: a line for it here, its own words in a file, and the end of the run where it fails."""
    began = time.monotonic()
    with LOG.open("a", encoding="utf-8") as out:
        done = subprocess.run(["ansible-playbook", *arguments], cwd=ROOT, stdout=out, stderr=out, check=False)
    if done.returncode:
        words = LOG.read_text(encoding="utf-8")[-6000:]
        sys.exit(f"{words}\n{what}: failed with {done.returncode}. All of it: {LOG.relative_to(ROOT)}")
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)


def run_in(host: str, script: str) -> bytes:
    """What a shell script prints in a container. The run ends where it fails."""
    command = ["docker", "exec", "-i", CONTAINERS[host], "sh"]
    done = subprocess.run(command, input=script.encode(), capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{host}: a command failed with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    return done.stdout


def files_of(host: str, directory: str) -> dict[str, str]:
    """The files in a container's directory, by name."""
    packed = io.BytesIO(run_in(host, f"tar --create --directory {directory} ."))
    found = {}
    with tarfile.open(fileobj=packed) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            if content:
                found[Path(member.name).name] = content.read().decode()
    return found


@contextlib.contextmanager
def sampled() -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Look at every container each second while the block runs; what was seen is there once it has ended."""
    found: dict[str, list[dict[str, Any]]] = {}
    source = (HERE / "sampler.py").read_text(encoding="utf-8")
    running = {}
    for host, container in CONTAINERS.items():
        command = ["docker", "exec", "-i", container, "python3", "-c", source]
        with (WORK / f"{host.replace(' ', '-')}.jsonl").open("w", encoding="utf-8") as out:
            running[host] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out)
    try:
        yield found
    finally:
        for process in running.values():
            process.communicate(timeout=30)
    for host, process in running.items():
        if process.returncode:
            sys.exit(f"{host}: what looks at it each second ended with {process.returncode}.")
        lines = (WORK / f"{host.replace(' ', '-')}.jsonl").read_text(encoding="utf-8").splitlines()
        found[host] = [json.loads(line) for line in lines]
