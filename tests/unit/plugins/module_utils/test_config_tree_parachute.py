# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A set that has to be confirmed: kept where it is, and undone by the host alone where it is not.

The host's script is run for real; systemd is a stub that notes what it was asked.
"""

from __future__ import annotations

import functools
import itertools
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.module_utils import _config_tree as config_tree
from ansible_collections.minato.fleet.plugins.module_utils import _config_tree_parachute as parachute
from ansible_collections.minato.fleet.tests.unit.plugins.module_utils.config_tree_support import Place, killed_at

OLD: dict[str, Any] = {
    "files": {"main.conf": {"content": "old\n", "mode": "0600"}, "gone/user.conf": "old user\n", "it's": "kept\n"},
    "links": {"enabled": "main.conf"},
    "directories": {"shared": "0750"},
}
NEW: dict[str, Any] = {
    "files": {"main.conf": "new\n", "more/user.conf": "new user\n", "it's": "new\n"},
    "links": {"enabled": "more/user.conf"},
    "directories": {"shared": "0700"},
    "absent": ["default"],
    "confirm_within": 300,
}


class Host(Place):
    """A place whose service is loaded by a program, as a script outside of the run has to load it too."""

    def __init__(self, base: Path) -> None:
        super().__init__(base, whole=False)
        self.tool = base / "load"
        self.tool.write_text('#!/bin/sh\nrm -rf "$2"; cp -a "$1" "$2"\n')
        self.tool.chmod(0o755)
        self.script = self.root / "service" / "parachute"
        (self.live / "default").write_text("the distribution's\n")
        self.run(**OLD)
        self.old = self.snapshot()

    @property
    def reload(self) -> str:
        return shlex.join([str(self.tool), str(self.live), str(self.loaded)])

    def fall(self) -> None:
        """What the timer starts."""
        subprocess.run(["/bin/sh", str(self.script)], check=True)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What systemd was asked."""
    said: list[str] = []

    def call(command: list[str], **more: Any) -> int:
        if command[0].startswith("system"):
            said.append(" ".join(command))
            return 0
        return subprocess.Popen(command, **more).wait()

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.setattr(parachute, "UNITS", str(tmp_path / "units"))
    stub = tmp_path / "bin" / "systemctl"
    stub.parent.mkdir()
    stub.symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{stub.parent}:{os.environ['PATH']}")
    return said


@pytest.fixture
def host(tmp_path: Path, asked: list[str]) -> Host:
    (tmp_path / "units").mkdir()
    return Host(tmp_path / "host")


def units() -> list[str]:
    return [name for _folder, _folders, names in os.walk(parachute.UNITS) for name in names]


def test_what_nobody_confirms_is_undone_by_the_host_alone(host: Host, asked: list[str]) -> None:
    assert host.run(**NEW)["unconfirmed"]
    assert host.snapshot() != host.old
    assert host.is_loaded()
    assert any(said.startswith("systemd-run --quiet --on-active=300 ") for said in asked)
    assert units() == ["minato-parachute-service.service"] * 2, "the unit, and its link that has it start at boot"
    host.fall()
    assert host.snapshot() == host.old
    assert host.is_loaded()
    assert host.leftovers() == units() == []
    assert not host.run(**OLD, absent=["nothing"])["changed"], "its books are the old ones too"
    assert host.warnings == []


def test_what_is_confirmed_stays(host: Host, asked: list[str]) -> None:
    host.run(**NEW)
    script = host.script.read_text()
    config_tree.confirm("service", str(host.root))
    assert asked[-2:] == ["systemctl stop minato-parachute-service.timer", "systemctl daemon-reload"]
    assert host.leftovers() == units() == []
    new = host.snapshot()
    subprocess.run(["/bin/sh", "-c", script], check=True)
    assert host.snapshot() == new, "a script that was started and is late does nothing"
    done = host.run(**NEW)
    assert not done["changed"]
    assert not done["unconfirmed"], "what changes nothing waits for nobody"


def test_a_confirmation_that_comes_late_is_told(host: Host) -> None:
    host.run(**NEW)
    host.fall()
    with pytest.raises(config_tree.RunError, match="not confirmed in time, and the old set is back in place"):
        config_tree.confirm("service", str(host.root))


def test_the_next_run_undoes_what_nobody_confirmed(host: Host) -> None:
    host.run(**NEW)
    assert host.run(**OLD)["recovered"]
    assert host.snapshot() == host.old
    assert host.is_loaded()
    assert host.leftovers() == units() == []


def test_a_set_that_the_service_refuses_waits_for_nobody(host: Host) -> None:
    host.tool.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(config_tree.RunError, match="reload failed"):
        host.run(**NEW)
    assert host.snapshot() == host.old
    assert host.leftovers() == units() == []


def test_without_a_parachute_nothing_changes(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parachute, "first_failure", lambda _commands: "`systemd-run` (rc 1): no bus")
    with pytest.raises(config_tree.RunError, match=r"nothing was changed: the parachute could not be armed: .*no bus"):
        host.run(**NEW)
    assert host.snapshot() == host.old
    assert host.leftovers() == units() == []


def test_a_directory_cannot_wait(tmp_path: Path) -> None:
    with pytest.raises(config_tree.InputError, match="leave directory out"):
        Place(tmp_path, whole=True).run(files={}, confirm_within=5)


@pytest.mark.usefixtures("asked")
def test_killed_anywhere_the_host_alone_finds_its_way_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    fell = 0
    for step in itertools.count(1):
        monkeypatch.setattr(parachute, "UNITS", str(tmp_path / f"units{step}"))
        Path(parachute.UNITS).mkdir()
        host = Host(tmp_path / str(step))
        if not killed_at(step, functools.partial(host.run, **NEW)):
            break
        if host.script.exists():
            host.fall()
            fell += 1
            assert host.leftovers() == units() == []
        assert host.snapshot() == host.old
        assert host.is_loaded()
    assert fell > 10, "hardly a step was counted: the test kills nothing"
