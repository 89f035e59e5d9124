"""Which run is over and which is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from ansible_collections.minato.fleet.plugins.action.release import holder, is_over

HERE = socket.gethostname()


def test_a_run_that_runs_is_not_over() -> None:
    assert not is_over(holder())
    assert not is_over(f"root@{HERE}, process 1")
    assert f"process {os.getppid()}" in holder()


def test_a_run_of_this_machine_that_is_no_more_is_over() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert is_over(f"ono@{HERE}, process {gone.pid}")
    assert not is_over(f"ono@elsewhere.test, process {gone.pid}")


def test_what_nobody_wrote_is_not_over() -> None:
    assert not is_over("")
    assert not is_over("an unknown run")
