"""Which run is over and which is not, and the history that is kept here."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.action.release import holder, is_over, keep
from ansible_collections.minato.fleet.plugins.module_utils._release_history import HistoryError

HERE = socket.gethostname()


def test_a_run_that_runs_is_not_over() -> None:
    assert not is_over(holder())
    assert not is_over(f"root@{HERE}, process 1")
    assert f"process {os.getpid()}" in holder()


def test_a_task_that_outlives_its_run_names_the_run_all_the_same(tmp_path: Path) -> None:
    said, fork = tmp_path / "said", multiprocessing.get_context("fork")

    def task(run: int) -> None:
        while os.getppid() == run:
            time.sleep(0.01)
        (tmp_path / "fresh").write_text(holder(), encoding="utf-8")
        (tmp_path / "fresh").rename(said)

    def run() -> None:
        fork.Process(target=task, args=(os.getpid(),)).start()
        os._exit(0)

    killed = fork.Process(target=run)
    killed.start()
    killed.join()
    deadline = time.monotonic() + 60
    while not said.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert said.read_text(encoding="utf-8").endswith(f"@{HERE}, process {killed.pid}")
    assert is_over(said.read_text(encoding="utf-8"))


def test_a_run_of_this_machine_that_is_no_more_is_over() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert is_over(f"ono@{HERE}, process {gone.pid}")
    assert not is_over(f"ono@elsewhere.test, process {gone.pid}")


def test_what_nobody_wrote_is_not_over() -> None:
    assert not is_over("")
    assert not is_over("an unknown run")


def test_the_controller_keeps_a_history_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "state" / "fleet" / "history.jsonl"
    for host in ("api-1", "api-2"):
        keep(str(path), {"app": "medical-api", "host": host})
    assert [json.loads(line)["host"] for line in path.read_text().splitlines()] == ["api-1", "api-2"]
    assert [oct(each.stat().st_mode & 0o777) for each in (path.parent, path)] == ["0o700", "0o600"]


def test_a_history_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HistoryError, match=r"file/history\.jsonl did not get its line: "):
        keep(str(tmp_path / "file" / "history.jsonl"), {})
