"""What a host says of itself, and the facts made of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.action.facts import facts

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n'
UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n'
MACHINE = "MACHINE=x86_64\nNODENAME=box-1\nMEMORY=2013620 kB\n"


@pytest.mark.parametrize(
    ("answer", "distribution", "version", "major", "release"),
    [(DEBIAN, "Debian", "12", "12", "bookworm"), (UBUNTU, "Ubuntu", "24.04", "24", "noble")],
    ids=["Debian", "Ubuntu"],
)
def test_facts(answer: str, distribution: str, version: str, major: str, release: str) -> None:
    assert facts(answer + MACHINE) == {
        "architecture": "x86_64",
        "distribution": distribution,
        "distribution_major_version": major,
        "distribution_release": release,
        "distribution_version": version,
        "memtotal_mb": 1966,
        "nodename": "box-1",
    }


def test_another_system_is_named() -> None:
    with pytest.raises(ValueError, match="Fedora Linux 41"):
        facts('PRETTY_NAME="Fedora Linux 41"\nID=fedora\nVERSION_ID=41\n' + MACHINE)


def test_a_host_that_says_nothing() -> None:
    with pytest.raises(ValueError, match="an unknown system"):
        facts("")


def test_a_host_that_runs_no_command_is_not_taken_for_another_system(tmp_path: Path) -> None:
    """As a user with a shell that refuses."""
    shell = tmp_path / "nologin"
    shell.write_text("#!/bin/sh\necho This account is not available. >&2\nexit 3\n", encoding="utf-8")
    shell.chmod(0o755)
    where = ["--inventory=box-1,", "--connection=local", f"--extra-vars=ansible_shell_executable={shell}"]
    command = ["ansible", "box-1", *where, "--module-name=minato.fleet.facts"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "the host runs no command for us (exit code 3): This account is not available." in done.stdout
