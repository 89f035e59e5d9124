"""The history has a whole line for each deploy, whatever happens while it is written, and does not grow for ever."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.module_utils import _release_history as history

ENTRY = {"app": "medical-api", "reason": "二行\nnot a second line"}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "history.jsonl")


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_each_deploy_is_a_line(path: str) -> None:
    for count in range(3):
        history.append(path, {**ENTRY, "count": count}, 0o644)
    assert lines(path) == [{**ENTRY, "count": count} for count in range(3)]
    assert os.stat(path).st_mode & 0o777 == 0o644


def test_a_half_line_of_another_hand_does_not_spoil_the_next(path: str) -> None:
    Path(path).write_text('{"app": "med')
    history.append(path, ENTRY, 0o644)
    assert [json.loads(line) for line in Path(path).read_text().splitlines()[1:]] == [ENTRY]


def test_what_a_full_disk_cut_off_is_taken_back(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    history.append(path, ENTRY, 0o644)
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: write(handle, data[:9]))
        with pytest.raises(history.HistoryError, match=r"history\.jsonl did not get its line: the disk is full"):
            history.append(path, ENTRY, 0o644)
    assert lines(path) == [ENTRY]


def test_runs_at_once_do_not_mix_their_lines(path: str) -> None:
    code = (
        "import sys; from ansible_collections.minato.fleet.plugins.module_utils import _release_history as history\n"
        "for count in range(50): history.append(sys.argv[1], {'text': sys.argv[2] * 9000}, 0o600)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [subprocess.Popen([sys.executable, "-c", code, path, letter], env=environment) for letter in "abc"]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert sorted(line["text"] for line in lines(path)) == [letter * 9000 for letter in "abc" for _count in range(50)]


def test_a_line_waits_for_another_that_is_being_written(path: str) -> None:
    history.append(path, ENTRY, 0o600)
    with open(path, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writer = threading.Thread(target=history.append, args=(path, ENTRY, 0o600))
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
    writer.join()
    assert lines(path) == [ENTRY, ENTRY]


def test_a_link_is_not_followed(path: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(history.HistoryError, match="did not get its line"):
        history.append(path, ENTRY, 0o644)
    assert (tmp_path / "elsewhere").read_text() == ""


@pytest.mark.parametrize(("count", "left"), [(1100, 1100), (1101, 1000)])
def test_a_long_history_keeps_its_end(path: str, count: int, left: int) -> None:
    Path(path).write_text("".join(f'{{"count": {number}}}\n' for number in range(count)))
    os.chmod(path, 0o644)
    history.cut(path)
    assert len(lines(path)) == left
    assert lines(path)[-1] == {"count": count - 1}
    assert os.listdir(os.path.dirname(path)) == ["history.jsonl"]
    assert os.stat(path).st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "first"),
    [("", ""), ("\n \n it failed\nwith more", "it failed"), ("x" * 900, "x" * 500)],
)
def test_a_reason_is_one_line(text: str, first: str) -> None:
    assert history.reason(text) == first


def test_who_did_it_is_a_person_on_a_machine() -> None:
    assert history.person("ono@desk, process 7") == "ono@desk"
