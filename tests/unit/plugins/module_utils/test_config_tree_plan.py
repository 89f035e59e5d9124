# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a set, case by case (config_tree_cases.yml), and the input it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_plan import (
    Change,
    Current,
    InputError,
    Node,
    Wanted,
    plan,
    wanted_set,
)

CASES = yaml.safe_load(Path(__file__).with_name("config_tree_cases.yml").read_text())


def node(text: str) -> Node:
    kind, *rest = text.split()
    if kind == "link":
        return Node("link", target=rest[0])
    content = rest.pop(0).encode() if kind == "file" else None
    made = bool(rest) and rest[0] == "made"
    mode = int(rest[0], 8) if rest and not made else {"file": 0o644, "directory": 0o755}[kind]
    return Node(kind, "root", "root", mode, content=content, created=made)


def step(change: Change) -> str:
    if change.before is None:
        return f"make {change.path}"
    if change.after is None:
        return f"remove {change.path}"
    return f"{'write' if change.rewrites else 'access'} {change.path}"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_plan(case: dict[str, Any]) -> None:
    nodes = {path: node(text) for path, text in case["current"].items()}
    left = {path: node(text) for path, text in case.get("manifest", {}).items()}
    manifest = {path: each._replace(content=None, sha256=each.digest()) for path, each in left.items()}
    children = {path: [other for other in nodes if other.rpartition("/")[0] == path] for path in nodes}
    current = Current(nodes, manifest, children)
    nodes = {path: node(text) for path, text in case["wanted"].items()}
    wanted = Wanted(nodes, tuple(case.get("absent", ())), case.get("directory", ""))
    if "refused" in case:
        with pytest.raises(InputError, match=re.escape(case["refused"])):
            plan(current, wanted)
        return
    todo = plan(current, wanted)
    assert [step(change) for change in todo.changes] == case["plan"]
    assert dict(todo.saves) == case.get("saves", {})
    assert todo.changed == bool(case["plan"])
    if "manages" in case:
        assert sorted(todo.manifest) == case["manages"]


def asked(**given: Any) -> dict[str, Any]:
    access = {"owner": "root", "group": "root", "mode": "0644"}
    files = [{**access, **entry} for entry in given.pop("files", [])]
    directories = [{**access, **entry} for entry in given.pop("directories", [])]
    return {"directory": None, "links": [], "absent": [], "files": files, "directories": directories, **given}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"files": [{"path": "/a"}, {"path": "/a"}]}, "/a is listed twice"),
        ({"files": [{"path": "/a"}], "links": [{"path": "/a", "target": "b"}]}, "/a is listed twice (as file and as"),
        ({"files": [{"path": "/a"}], "absent": ["/a"]}, "/a is listed both as file and under absent"),
        ({"files": [{"path": "etc/a"}]}, "files: 'etc/a' is relative: write an absolute path"),
        ({"files": [{"path": "/etc/../a"}]}, "files: '/etc/../a' is not a plain path: write '/a'"),
        ({"files": [{"path": "/srv/a"}], "directory": "/etc"}, "/srv/a lies outside directory /etc"),
        ({"files": [{"path": "/etcetera"}], "directory": "/etc"}, "/etcetera lies outside directory /etc"),
        ({"files": [], "directory": "etc"}, "directory: 'etc' is relative"),
        ({"files": [{"path": "/a", "mode": 420}]}, "/a: mode 420 is not a quoted string of four octal digits"),
        ({"files": [{"path": "/a", "mode": "644"}]}, "/a: mode '644' is not a quoted string"),
        ({"files": [{"path": "/none"}]}, "/none: no content"),
        ({"files": [{"path": "/a"}, {"path": "/a/b"}]}, "/a/b lies under /a, which this set wants to be a file"),
        ({"files": [{"path": "/d/b"}], "absent": ["/d"]}, "/d/b lies under /d, which this set wants to be absent"),
        ({"links": [{"path": "/l", "target": ""}]}, "/l: a link needs a target"),
    ],
)
def test_wrong_input_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    contents = {entry["path"]: b"x" for entry in given.get("files", []) if entry["path"] != "/none"}
    with pytest.raises(InputError, match=re.escape(message)):
        wanted_set(asked(**given), contents)
