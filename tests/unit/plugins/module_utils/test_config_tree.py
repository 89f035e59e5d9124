# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whole runs on a directory of their own: what each promise of `config_tree` looks like on disk."""

from __future__ import annotations

import base64
import fcntl
import itertools
import os
import re
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.module_utils import _config_tree as config_tree
from ansible_collections.minato.fleet.plugins.module_utils import _config_tree_check as check
from ansible_collections.minato.fleet.plugins.module_utils import _config_tree_store as store
from ansible_collections.minato.fleet.plugins.module_utils import _config_tree_swap as swap
from ansible_collections.minato.fleet.tests.unit.plugins.module_utils.config_tree_support import Place, service


@pytest.fixture(params=[True, False], ids=["directory", "files"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(subprocess, "call", service)
    return Place(tmp_path, request.param)


def test_what_nobody_manages_keeps_content_rights_times_and_links(place: Place) -> None:
    theirs = place.live / "deep" / "theirs"
    theirs.parent.mkdir(mode=0o710)
    theirs.write_text("x\n")
    theirs.chmod(0o640)
    os.utime(theirs, ns=(1, 10**18))
    os.utime(theirs.parent, ns=(1, 10**18))
    (place.live / "link").symlink_to("nowhere")
    os.mkfifo(place.live / "pipe")
    assert place.run(files={"a": "1\n"}, reload="")["swap"] == ("directory" if place.whole else "files")
    assert (theirs.read_text(), stat.S_IMODE(theirs.stat().st_mode), theirs.stat().st_mtime_ns) == (
        "x\n",
        0o640,
        10**18,
    )
    assert (stat.S_IMODE(theirs.parent.stat().st_mode), theirs.parent.stat().st_mtime_ns) == (0o710, 10**18)
    assert theirs.stat().st_nlink == 1
    assert os.readlink(place.live / "link") == "nowhere"
    assert stat.S_ISFIFO((place.live / "pipe").stat().st_mode)


def test_a_hand_edit_is_shown_and_saved_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    stamps = map(str, itertools.count())
    monkeypatch.setattr(time, "strftime", lambda *_args: next(stamps))
    place.run(files={"a": "1\n"})
    (place.live / "a").write_text("mine\n")
    (place.live / "a").chmod(0o600)
    done = place.run(files={"a": "1\n"})
    (entry,) = (each for each in done["diff"] if "owner" not in each["before_header"])
    assert (entry["before"], entry["after"]) == ("mine\n", "1\n")
    (kept,) = done["backups"]
    assert kept["reason"] == "changed by hand"
    assert (Path(kept["saved_to"]).read_text(), stat.S_IMODE(os.stat(kept["saved_to"]).st_mode)) == ("mine\n", 0o600)
    assert stat.S_IMODE((place.root / "service").stat().st_mode) == 0o700
    assert "changed by hand" in place.warnings[0]
    (place.live / "a").write_text("mine\n")
    assert place.run(files={"a": "1\n"})["backups"][0]["saved_to"] == kept["saved_to"]
    assert not place.run(files={"a": "1\n"})["backups"]


def test_check_mode_writes_nothing(place: Place) -> None:
    predicted = place.run(
        check=True, files={"a": {"content": "1\n", "owner": "nobody-yet"}}, validate=["/no/such/tool"]
    )
    assert predicted["changed"]
    assert predicted["files"] == [place.path("a")]
    assert place.snapshot() == {}
    assert not place.root.exists()


def test_a_missing_owner_fails_before_anything_changes(place: Place) -> None:
    with pytest.raises(config_tree.RunError, match=r"nothing was changed: user nobody-yet does not exist \(wanted for"):
        place.run(files={"a": "1\n", "b": {"content": "1\n", "owner": "nobody-yet"}})
    assert place.snapshot() == {}


def test_a_failed_reload_puts_the_old_set_back_and_loads_it(place: Place) -> None:
    place.run(files={"a": "1\n", "b": "1\n"})
    before = place.snapshot()
    with pytest.raises(config_tree.RunError) as failure:
        place.run(files={"a": "bad\n", "c/d": "2\n"}, links={"l": "a"})
    assert f"{place.path('a')}:1: bad" in str(failure.value)
    assert "the old set was reloaded and is serving" in str(failure.value)
    assert place.snapshot() == before
    assert place.is_loaded()
    assert place.leftovers() == []
    assert not place.run(files={"a": "1\n", "b": "1\n"})["changed"]


def test_a_service_that_is_down_altogether_is_reported_so(place: Place) -> None:
    place.run(files={"a": "1\n"})
    with pytest.raises(config_tree.RunError, match=r"reloading the old set failed too.*rc 1.*no output"):
        place.run(files={"a": "2\n"}, reload="false")
    assert (place.live / "a").read_text() == "1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace needs root")
def test_a_validator_sees_the_set_at_its_final_paths_while_the_old_one_is_live(place: Place, tmp_path: Path) -> None:
    place.run(files={"a": "1\n", "gone/x": "1\n", "kept": "k\n"})
    live, report = place.live, tmp_path / "report"
    script = tmp_path / "validator"
    script.write_text(
        f"#!/bin/sh\ncd {live} && find . | sort > {report}; cat {live}/a {live}/new/b {live}/l >> {report}\n"
        f"echo '{live}/a:1: unknown directive'; exit 1\n"
    )
    script.chmod(0o755)
    before = place.snapshot()
    with pytest.raises(config_tree.RunError) as failure:
        place.run(files={"a": "2\n", "kept": "k\n", "new/b": "3\n"}, links={"l": "a"}, validate=["true", str(script)])
    assert report.read_text().split() == [".", "./a", "./kept", "./l", "./new", "./new/b", "2", "3", "2"]
    assert "validation failed, nothing was changed" in str(failure.value)
    assert f"(rc 1): {live}/a:1: unknown directive" in str(failure.value)
    assert place.snapshot() == before
    assert place.leftovers() == []
    assert not any("minato" in point for point in Path("/proc/self/mountinfo").read_text().split())


def test_without_a_mount_namespace_a_bad_set_is_undone_and_the_message_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.run(files={"a": "1\n"})
    monkeypatch.setattr(check, "validate", lambda *_args: check.Verdict(refused="unshare: Operation not permitted"))
    with pytest.raises(config_tree.RunError, match=r"the old set is back in place.*Operation not permitted.*`false`"):
        place.run(files={"a": "2\n"}, validate=["false"])
    assert (place.live / "a").read_text() == "1\n"
    assert place.run(files={"a": "2\n"}, validate=["true"])["changed"]
    assert "validated after its swap" in place.warnings[-1]


def test_a_refused_namespace_is_told_from_a_failed_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError(1, "unshare: Operation not permitted")

    monkeypatch.setattr(check, "mount", lambda *_args: None)
    verdict = check.validate(["false"], refuse, lambda: None)
    assert verdict.failed is None
    assert "Operation not permitted" in verdict.refused


def test_a_secret_is_nowhere_but_in_its_file(place: Place) -> None:
    params = place.params(files={".env": {"content": None, "secret": True, "mode": "0600"}})
    params["secrets"] = {place.path(".env"): base64.b64encode(b"TOKEN=hunter2\n").decode()}
    done = config_tree.run(params, False, True, place.warnings.append, str(place.root))
    assert (place.live / ".env").read_text() == "TOKEN=hunter2\n"
    assert stat.S_IMODE((place.live / ".env").stat().st_mode) == 0o600
    assert "hunter2" not in str(done)
    params["secrets"] = {place.path(".env"): base64.b64encode(b"TOKEN=hunter3\n").decode()}
    params["reload"] = f"sh -c 'cat {place.path('.env')}; exit 1'"
    with pytest.raises(config_tree.RunError) as failure:
        config_tree.run(params, False, True, place.warnings.append, str(place.root))
    assert not re.search("hunter[23]", str(failure.value))


def test_where_one_rename_is_refused_the_files_are_swapped_one_by_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_one: str, _other: str) -> None:
        raise swap.ExchangeError("Invalid argument")

    place.run(files={"a": "1\n"})
    monkeypatch.setattr(swap, "exchange", refuse)
    assert place.run(files={"a": "2\n"})["swap"] == "files"
    assert (place.live / "a").read_text() == "2\n"
    assert place.leftovers() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_mount_point_in_the_directory_is_swapped_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "holds_mounts", lambda _directory: True)
    place = Place(tmp_path, whole=True)
    assert place.run(files={"a": "1\n"}, reload="")["swap"] == "files"


def test_a_directory_that_others_change_meanwhile_is_staged_anew(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    late = place.live / "late"
    real = check.validate

    def interrupted(*args: Any) -> check.Verdict:
        late.write_text("written meanwhile\n")
        return real(*args)

    monkeypatch.setattr(check, "validate", interrupted)
    place.run(files={"a": "1\n"}, validate=["true"])
    assert late.read_text() == "written meanwhile\n"


def test_one_run_at_a_time(place: Place) -> None:
    place.run(files={"a": "1\n"})
    holder = os.open(place.root / "service", os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    books = store.Store(str(place.root), "service")
    with pytest.raises(store.RunError, match=r"another run has held .* for 0\.2 s"), books.locked(patience=0.2):
        pass
    os.close(holder)
    with books.locked(patience=0.2):
        pass


def test_a_set_has_a_plain_name(place: Place) -> None:
    params = {**place.params(files={}), "name": "../etc"}
    with pytest.raises(config_tree.InputError, match=r"name: '../etc' must be letters"):
        config_tree.run(params, False, False, place.warnings.append, str(place.root))


def test_two_entries_that_are_one_path_through_a_link_are_refused(tmp_path: Path) -> None:
    place = Place(tmp_path, whole=False)
    (place.live / "real").mkdir()
    (place.live / "alias").symlink_to("real")
    with pytest.raises(config_tree.InputError, match="are one path on this host"):
        place.run(files={"real/a": "1\n", "alias/a": "2\n"})


def test_a_link_put_in_the_way_is_not_followed(tmp_path: Path) -> None:
    place = Place(tmp_path, whole=False)
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    (place.live / ".a.minato~").symlink_to(victim)
    with pytest.raises(config_tree.RunError, match="the swap failed and was undone"):
        place.run(files={"a": "1\n"}, reload="")
    assert victim.read_text() == "precious\n"
    assert place.run(files={"a": "1\n"}, reload="")["changed"]
