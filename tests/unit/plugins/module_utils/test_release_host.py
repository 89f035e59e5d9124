"""A deploy that is stopped anywhere leaves a host that the next run puts right, and a running release that is whole."""

from __future__ import annotations

import getpass
import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._release_host import HostError, Releases
from ansible_collections.minato.fleet.plugins.module_utils._releases import Plan, plan

OLD, NEW = "a" * 40, "b" * 40
KEEP = 2
CHANGES = ("chmod", "fsync", "mkdir", "rename", "rmdir", "symlink", "sync", "unlink")


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def act(releases: Releases, commit: str) -> None:
    """A deploy beside what runs, without git, commands and processes."""
    slots = releases.slots
    todo = due(releases, commit)
    for release_id in todo.discard:
        releases.remove(release_id)
    if todo.action == "deploy":
        directory = Path(releases.create(todo.id, commit=commit))
        (directory / "server.js").write_text(commit, encoding="utf-8")
        releases.link_shared(todo.id, [".env", "data/"])
        releases.give(todo.id)
        releases.link_shared(todo.id, [".env", "data/"])
        releases.seal(todo.id)
    if todo.action != "none":
        slot = slots.idle()
        releases.occupy(slot, todo.id)
        releases.switch(slot)
    if slots.release(slots.idle()):
        slots.vacate(slots.idle())
    for release_id in todo.prune:
        releases.remove(release_id)


def due(releases: Releases, commit: str) -> Plan:
    live = releases.slots.live()
    up_to_date = bool(live) and releases.slots.is_up_to_date(str(live))
    return plan(releases.found(), releases.current(), commit, KEEP, frozenset(), up_to_date)


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Releases:
    """An app of this test's own user, with three deploys behind it."""
    for name in ("chown", "fchown"):
        monkeypatch.setattr(os, name, lambda *_arguments, **_options: None)
    (tmp_path / "releases").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / ".env").write_text("", encoding="utf-8")
    made = Releases(str(tmp_path), getpass.getuser(), str(tmp_path / "shared" / ".env"))
    for commit in ("8" * 40, "9" * 40, OLD):
        act(made, commit)
    return made


def running(releases: Releases) -> str:
    """The commit of what ``current`` leads to; fails where that is not a whole release."""
    return (Path(releases.slots.link) / "server.js").read_text(encoding="utf-8")


def killed_at(count: int, monkeypatch: pytest.MonkeyPatch, run: Callable[[], None]) -> bool:
    """Whether ``run`` came as far as its change number ``count``; it is killed right before that."""
    left = count

    def guard(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(*arguments, **options)

        return change

    with monkeypatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, guard(getattr(os, name)))
        try:
            run()
        except Killed:
            return True
    return False


def test_a_deploy_killed_before_any_of_its_changes_is_finished_by_the_next(
    releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tmp_path / "start"
    shutil.copytree(releases.home, start, symlinks=True)
    count = 0
    while True:
        shutil.rmtree(tmp_path / "try", ignore_errors=True)
        shutil.copytree(start, tmp_path / "try", symlinks=True)
        one = Releases(str(tmp_path / "try"), releases.user, str(tmp_path / "try" / "shared" / ".env"))
        if not killed_at(count, monkeypatch, partial(act, one, NEW)):
            break
        assert running(one) in (OLD, NEW), count
        act(one, NEW)
        assert running(one) == NEW, count
        states = {release.id: release.state for release in one.found()}
        assert sorted(states.values()) == ["active", "ready"], (count, states)
        assert states[str(one.current())] == "active"
        assert due(one, NEW).due is False
        assert one.slots.held() == {one.current()}
        count += 1
    assert count > 20


def test_the_manifest_in_the_release_is_the_one_beside_it(releases: Releases) -> None:
    manifest = json.loads((Path(releases.slots.link) / "RELEASE.json").read_text(encoding="utf-8"))
    assert (manifest["commit"], manifest["state"]) == (OLD, "active")
    assert manifest["activated_at"] >= manifest["created_at"]


def test_the_running_release_is_never_removed(releases: Releases) -> None:
    with pytest.raises(HostError, match="is the running release"):
        releases.remove(str(releases.current()))
    assert running(releases) == OLD


@pytest.mark.parametrize("name", ["..", "../shared", "shared", "0001-xyz", ""])
def test_what_is_no_release_is_never_touched(releases: Releases, name: str) -> None:
    with pytest.raises(HostError, match="is not the id of a release"):
        releases.remove(name)


def test_a_shared_path_cannot_lead_out_of_the_release(releases: Releases, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "shared" / "web").mkdir()
    (tmp_path / "shared" / "web" / ".env").write_text("", encoding="utf-8")
    directory = Path(releases.create("0009-bbbbbbbbbbbb", commit=NEW))
    (directory / "web").symlink_to(outside)
    with pytest.raises(HostError, match=r"web/\.env leads out of the release"):
        releases.link_shared("0009-bbbbbbbbbbbb", ["web/.env"])
    assert not list(outside.iterdir())


def test_a_missing_shared_file_is_named(releases: Releases) -> None:
    releases.create("0009-bbbbbbbbbbbb", commit=NEW)
    with pytest.raises(HostError, match=r"shared/secrets does not exist: put it there before the deploy"):
        releases.link_shared("0009-bbbbbbbbbbbb", ["secrets"])


def test_a_directory_called_current_is_not_replaced(releases: Releases) -> None:
    os.unlink(releases.slots.link)
    os.mkdir(releases.slots.link)
    with pytest.raises(HostError, match="is a directory, not a link"):
        releases.switch("b")


def test_a_plan_that_another_run_has_overtaken_removes_nothing(releases: Releases) -> None:
    for release in releases.found():
        with pytest.raises(HostError, match="another run has finished"):
            releases.check_unfinished([release.id])
        with pytest.raises(HostError, match="run again"):
            releases.create(release.id, commit=OLD)
    assert running(releases) == OLD


def test_a_full_disk_is_told_in_figures(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path(releases.slots.link) / "big").write_bytes(b"x" * (3 << 20))
    values = list(os.statvfs(releases.root))
    values[0] = values[1] = 1 << 20  # blocks of one megabyte
    values[4] = 100
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(values))
    releases.check_disk(96)
    with pytest.raises(HostError) as told:
        releases.check_disk(98)
    assert "has 100 MB free. One more release takes 3 MB as the running one does, and 98 MB" in str(told.value)


def test_room_is_asked_for_what_comes(releases: Releases) -> None:
    """Of a size that is known, and of the running release's where it is not."""
    releases.check_disk(0)
    releases.check_disk(0, 1 << 20)
    with pytest.raises(HostError, match=rf"One more release takes {1 << 30} MB, and 0 MB \(app_disk_reserve_mb\)"):
        releases.check_disk(0, 1 << 50)
    with pytest.raises(HostError, match=r"takes 0 MB as the running one does, and \d+ MB"):
        releases.check_disk(1 << 30)
