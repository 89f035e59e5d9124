"""What really runs is told by the kernel: real processes, in directories of real releases."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.module_utils import _release_look as look
from ansible_collections.minato.fleet.plugins.module_utils._processes import working_directory
from ansible_collections.minato.fleet.plugins.module_utils._release_host import Releases

USER = getpass.getuser()
OLD, LIVE, NEXT = (f"{serial:04d}-{letter * 12}" for serial, letter in ((1, "a"), (2, "b"), (3, "c")))
Start = Callable[[Path], int]


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """Three finished releases: the second serves, from slot b; slot a is empty. The home is reached over a link."""
    home = tmp_path / "opt" / "app"
    (home / "slots").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "opt")
    made = Releases(str(tmp_path / "link" / "app"), USER)
    for release_id, state, at in ((OLD, "ready", "10:00"), (LIVE, "active", "12:00"), (NEXT, "building", "")):
        (home / "releases" / release_id / "src").mkdir(parents=True)
        made.write_manifest(release_id, state=state, activated_at=at or None, commit="c" * 40, version="main")
    (home / "slots" / "b").symlink_to(f"../releases/{LIVE}")
    (home / "current").symlink_to("slots/b")
    return made


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a process in a directory, and says its pid. The kernel is asked about these alone: others are not ours."""
    started: list[subprocess.Popen[bytes]] = []
    ask = working_directory
    monkeypatch.setattr(look, "working_directory", lambda pid: ask(pid) if pid in {one.pid for one in started} else "/")

    def run(directory: Path) -> int:
        waits = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
        process = subprocess.Popen(waits, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout
        process.stdout.readline()
        return process.pid

    yield run
    for process in started:
        process.kill()
        process.communicate()


def seen(releases: Releases) -> dict[str, Any]:
    return look.look(releases, look.processes([USER, "nobody-of-this-name"]))


def running(found: dict[str, Any]) -> dict[str, list[int]]:
    return {each["id"]: each["running"] for each in found["releases"]}


def test_each_release_has_its_own_processes(releases: Releases, start: Start) -> None:
    root = Path(releases.root)
    pids = [start(root / LIVE), start(root / LIVE / "src")]
    start(root)
    found = seen(releases)
    assert running(found) == {NEXT: [], LIVE: sorted(pids), OLD: []}
    assert found["stale"] == []


def test_the_link_moves_on_and_the_process_does_not(releases: Releases, start: Start) -> None:
    """A process started over the link is of the release that the link led to then."""
    pid = start(Path(releases.slots.link))
    os.unlink(Path(releases.slots.root) / "b")
    (Path(releases.slots.root) / "b").symlink_to(f"../releases/{OLD}")
    found = seen(releases)
    assert running(found)[LIVE] == [pid]
    assert running(found)[OLD] == []
    directory = os.path.realpath(os.path.join(releases.root, LIVE))
    assert found["stale"] == [{"pid": pid, "release": LIVE, "directory": directory}]


def test_a_process_in_a_release_without_a_slot_is_stale(releases: Releases, start: Start) -> None:
    pid = start(Path(releases.root) / OLD)
    found = seen(releases)
    assert running(found)[OLD] == [pid]
    assert [(each["pid"], each["release"]) for each in found["stale"]] == [(pid, OLD)]


def test_a_process_in_a_release_that_is_no_more_is_stale(releases: Releases, start: Start) -> None:
    pid = start(Path(releases.root) / LIVE)
    shutil.rmtree(Path(releases.root) / LIVE)
    found = seen(releases)
    assert running(found)[LIVE] == []
    assert [(each["pid"], each["release"]) for each in found["stale"]] == [(pid, LIVE)]
    assert found["stale"][0]["directory"].endswith(" (deleted)")
    assert [each["size_mb"] for each in found["releases"]] == [0, None, 0]


def test_what_builds_a_release_is_not_stale(releases: Releases, start: Start) -> None:
    pid = start(Path(releases.root) / NEXT)
    found = seen(releases)
    assert running(found)[NEXT] == [pid]
    assert found["stale"] == []


def test_both_slots_are_in_use(releases: Releases, start: Start) -> None:
    (Path(releases.slots.root) / "a").symlink_to(f"../releases/{OLD}")
    start(Path(releases.root) / OLD)
    found = seen(releases)
    assert [each["slot"] for each in found["releases"]] == [None, "b", "a"]
    assert found["stale"] == []


def test_nobody_elses_processes_count(releases: Releases, start: Start) -> None:
    start(Path(releases.root) / OLD)
    assert look.processes(["nobody-of-this-name"]) == []
    assert look.look(releases, [look.Process(1, "else", os.path.realpath(releases.root) + f"/{OLD}")])["stale"] == []


def test_an_entry_says_what_the_manifest_and_the_disk_say(releases: Releases) -> None:
    root = Path(releases.root)
    (root / LIVE / "file").write_bytes(b"x" * (3 << 20))
    releases.write_manifest(OLD, state="active")  # a run was stopped before it had said otherwise
    os.unlink(releases.manifest_path(NEXT))
    newest, serves, oldest = look.look(releases, [])["releases"]
    assert (newest["id"], newest["state"], newest["commit"]) == (NEXT, "unreadable", None)
    assert (oldest["state"], oldest["slot"], oldest["size_mb"]) == ("ready", None, 0)
    assert serves == {
        "id": LIVE,
        "commit": "c" * 40,
        "version": "main",
        "author": None,
        "committed_at": None,
        "activated_at": "12:00",
        "state": "active",
        "reason": "",
        "size_mb": 3,
        "slot": "b",
        "running": [],
    }


def test_where_nothing_was_ever_deployed(tmp_path: Path) -> None:
    assert look.look(Releases(str(tmp_path), USER), []) == {"releases": [], "stale": []}
