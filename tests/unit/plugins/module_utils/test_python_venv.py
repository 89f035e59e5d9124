# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands, refusals and plans of Python's versions and virtual environments, case by case; the cases are data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.module_utils import _python_venv, _python_venv_interpreters
from ansible_collections.minato.fleet.plugins.module_utils._python_venv_host import FailedError, Host

DATA: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("python_venv_cases.yml").read_text(encoding="utf-8"))
VENV: dict[str, Any] = {
    "path": "/opt/app/venv",
    "python": "3.11",
    "owner": "root",
    "group": "",
    "requirements": ["/opt/app/requirements.txt"],
    "require_hashes": False,
    "project": "",
    "tool": "pip",
    "wheels": "",
    "only_binary": False,
    "environment": {},
}


def cases(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", DATA[name], ids=[case["name"] for case in DATA[name]])


@cases("commands")
def test_command(case: dict[str, Any]) -> None:
    line = case["line"].replace("UV ", "/opt/uv/bin/uv ")
    line = line.replace("COMMON", "--no-python-downloads --system-certs --no-progress")
    assert _python_venv.install_command("/opt/python/3.11/bin/python3", **case["with"]) == line


@cases("refused_commands")
def test_refused_command(case: dict[str, Any]) -> None:
    with pytest.raises(_python_venv.RefusedError) as caught:
        _python_venv.install_command("/opt/python/3.11/bin/python3", **case["with"])
    assert str(caught.value) == case["says"]


@cases("refused")
def test_refused(case: dict[str, Any]) -> None:
    with pytest.raises(_python_venv.RefusedError) as caught:
        _python_venv.check([{**VENV, **changes} for changes in case["with"]])
    assert str(caught.value) == case["says"]


def test_what_is_right_is_not_refused() -> None:
    _python_venv.check([VENV, {**VENV, "path": "/opt/b/venv", "requirements": [], "project": "/opt/b", "tool": "uv"}])


@cases("requirements")
def test_requirements(case: dict[str, Any]) -> None:
    assert _python_venv.loose(case["text"]) == case["loose"]
    assert _python_venv.includes(case["text"]) == case["includes"]


def _plan(case: dict[str, Any]) -> list[str]:
    current = {key: _python_venv_interpreters.Slot(*slot) for key, slot in case.get("current", {}).items()}
    wanted = _python_venv_interpreters.wanted_of(case["wanted"])
    steps = _python_venv_interpreters.plan(
        current, wanted, case.get("uv", ""), case.get("uv_wanted", ""), "/opt/python"
    )
    return [str(step) for step in steps]


@cases("plans")
def test_plan(case: dict[str, Any]) -> None:
    assert _plan(case) == case["plan"]


@cases("refused_versions")
def test_refused_version(case: dict[str, Any]) -> None:
    with pytest.raises(_python_venv.RefusedError) as caught:
        _plan(case)
    assert str(caught.value) == case["says"]


def test_the_newest_build_of_a_version() -> None:
    names = ["cpython-3.11.9-linux-x86_64-gnu", "cpython-3.11.10-linux-x86_64-gnu", "cpython-3.12.1-linux-x86_64-gnu"]
    others = [".temp", "cpython-3.11-linux-x86_64-gnu"]
    assert _python_venv_interpreters.newest(names + others, "3.11") == "cpython-3.11.10-linux-x86_64-gnu"
    assert _python_venv_interpreters.newest(names, "3.11.9") == "cpython-3.11.9-linux-x86_64-gnu"
    assert _python_venv_interpreters.newest(names, "3.13") == ""


def test_what_differs() -> None:
    before = {"python": "3.11.2 (/usr/bin/python3.11)", "/a.txt": "aa", "/b.txt": "bb"}
    after = {"python": "3.11.4 (/usr/bin/python3.11)", "/a.txt": "aa", "/c.txt": "cc"}
    assert [str(each) for each in _python_venv.compare(before, after)] == [
        "/b.txt: bb -> absent",
        "/c.txt: absent -> cc",
        "python: 3.11.2 (/usr/bin/python3.11) -> 3.11.4 (/usr/bin/python3.11)",
    ]
    assert not _python_venv.compare(after, after)
    assert [str(each) for each in _python_venv.compare(None, after)] == ["virtual environment: absent -> built"]


def test_builds_are_told_from_what_else_lies_there() -> None:
    names = [".venv-0002", ".venv-0010", "venv", ".venv-old", ".other-0001", "x.venv-0001", ".venv-0003.tmp"]
    assert _python_venv.build_numbers("/opt/app/venv", names) == [2, 10]
    assert _python_venv.build_name("/opt/app/venv", 11) == ".venv-0011"


def test_no_secret_is_shown() -> None:
    environment = {
        "PIP_INDEX_URL": "https://reader:hunter-22@pypi.example.test/simple",
        "UV_DEFAULT_INDEX": "https://only-a-token@pypi.example.test/simple",
        "UV_INDEX_OWN_PASSWORD": "in-the-open",
        "PIP_TIMEOUT": "60",
        "NO_PROXY": "example.test",
    }
    hidden = _python_venv.secrets(environment)
    assert sorted(hidden) == ["hunter-22", "in-the-open", "only-a-token"]
    said = f"Looking in {environment['PIP_INDEX_URL']}\nand {environment['UV_DEFAULT_INDEX']}, in-the-open"
    shown = _python_venv.last_lines(said, hidden)
    assert not [secret for secret in hidden if secret in shown]
    assert "pypi.example.test/simple" in shown
    assert "hunter-22" not in _python_venv.last_lines(said, []), "an address's password never, wherever it came from"


def test_only_the_last_lines_are_shown() -> None:
    assert _python_venv.last_lines("\n".join(map(str, range(100))), [], 3) == "97\n98\n99"
    assert _python_venv.last_lines("", []) == "(it said nothing)"


# On a disk


def host_of(tmp_path: Path) -> Host:
    return Host(str(tmp_path / "python"), str(tmp_path / "uv"), {})


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_slots_as_they_are(tmp_path: Path) -> None:
    host, python = host_of(tmp_path), tmp_path / "python"
    slot = _python_venv_interpreters.Slot
    assert host.slot("3.11") == slot("absent", "")
    (python / "3.11/bin").mkdir(parents=True)
    assert host.slot("3.11") == slot("absent", ""), "a directory that a killed run left"
    (python / "3.11/bin/python3").symlink_to("/usr/bin/python3.11")
    assert host.slot("3.11") == slot("package", "/usr/bin/python3.11")
    write(python / "3.11/bin/pip")
    assert host.slot("3.11") == slot("other", "bin/pip")
    (python / "3.12").symlink_to(".builds/cpython-3.12.4-linux-x86_64-gnu")
    assert host.slot("3.12") == slot("absent", ""), "its build is gone"
    write(python / ".builds/cpython-3.12.4-linux-x86_64-gnu/bin/python3")
    assert host.slot("3.12") == slot("standalone", "cpython-3.12.4-linux-x86_64-gnu")
    (python / "3.13").symlink_to("/usr/local")
    assert host.slot("3.13") == slot("other", "/usr/local")


def test_inputs_follow_what_files_include(tmp_path: Path) -> None:
    top = write(tmp_path / "requirements.txt", "-r more/base.txt\nfastapi==1\n")
    base = write(tmp_path / "more/base.txt", "-c constraints.txt\n-r base.txt\n")
    constraints = write(tmp_path / "more/constraints.txt", "pydantic==2\n")
    venv = {**VENV, "requirements": [str(top)]}
    found = host_of(tmp_path).inputs(venv, "3.11.2")
    assert {*found} == {"python", "tool", str(top), str(base), str(constraints)}
    write(constraints, "pydantic==3\n")
    again = host_of(tmp_path).inputs(venv, "3.11.2")
    assert [each.what for each in _python_venv.compare(found, again)] == [str(constraints)]


def test_inputs_that_are_not_there_are_refused(tmp_path: Path) -> None:
    host = host_of(tmp_path)
    with pytest.raises(
        _python_venv.RefusedError, match=r"requirements.txt cannot be read \(No such file or directory\)"
    ):
        host.inputs({**VENV, "requirements": [str(tmp_path / "requirements.txt")]}, "")
    loose = write(tmp_path / "loose.txt", "fastapi\nuvicorn==1\n")
    with pytest.raises(
        _python_venv.RefusedError, match=r"loose\.txt does not pin fastapi, uvicorn by version and hash"
    ):
        host.inputs({**VENV, "requirements": [str(loose)], "require_hashes": True}, "")
    project = {**VENV, "requirements": [], "project": str(tmp_path), "tool": "uv"}
    with pytest.raises(_python_venv.RefusedError, match=r"has no pyproject\.toml"):
        host.inputs(project, "")
    write(tmp_path / "pyproject.toml")
    with pytest.raises(_python_venv.RefusedError, match=r"but neither uv.lock nor pylock.toml: run `uv lock` there"):
        host.inputs(project, "")
    write(tmp_path / "uv.lock")
    assert str(tmp_path / "uv.lock") in host.inputs(project, "")
    (tmp_path / "wheels").mkdir()
    with pytest.raises(_python_venv.RefusedError, match="holds no wheel"):
        host.inputs({**project, "wheels": str(tmp_path / "wheels")}, "")


def test_what_is_no_virtual_environment_is_not_replaced(tmp_path: Path) -> None:
    host = host_of(tmp_path)
    host.check_place(str(tmp_path / "venv"))
    write(tmp_path / "venv/pyvenv.cfg")
    host.check_place(str(tmp_path / "venv"))
    write(tmp_path / "data/precious")
    with pytest.raises(_python_venv.RefusedError, match="data is there, and no virtual environment"):
        host.check_place(str(tmp_path / "data"))


@pytest.mark.parametrize("damage", ["python", "record", "all"])
def test_a_damaged_build_counts_as_none(tmp_path: Path, damage: str) -> None:
    host, build = host_of(tmp_path), tmp_path / ".venv-0001"
    write(build / "pyvenv.cfg")
    write(build / "bin/python")
    write(build / "minato-inputs.json", '{"python": "3.11.2"}')
    (tmp_path / "venv").symlink_to(".venv-0001")
    path = str(tmp_path / "venv")
    assert host.record(path) == {"python": "3.11.2"}
    if damage == "all":
        build.rename(tmp_path / "gone")
    else:
        os.unlink(build / {"python": "bin/python", "record": "minato-inputs.json"}[damage])
    assert host.record(path) is None
    host.check_place(path)


def test_a_python_that_does_not_run_is_told(tmp_path: Path) -> None:
    python = write(tmp_path / "python/3.11/bin/python3", "#!/bin/sh\necho broken\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(FailedError, match=r"does not run here: broken"):
        host_of(tmp_path).exact_version("3.11", _python_venv_interpreters.Slot())
