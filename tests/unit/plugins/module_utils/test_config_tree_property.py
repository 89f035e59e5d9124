# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""For any tree and any two sets: a run leaves what is wanted plus what nobody manages, and a second run is idle."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._config_tree import InputError
from ansible_collections.minato.fleet.tests.unit.plugins.module_utils.config_tree_support import Place, Snapshot
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

names = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
nodes = st.one_of(
    st.tuples(st.just("file"), st.sampled_from([0o644, 0o600]), st.sampled_from(["", "1\n", "2\n"])),
    st.tuples(st.just("link"), st.just(0), st.sampled_from(["a", "nowhere"])),
    st.tuples(st.just("directory"), st.sampled_from([0o755, 0o700]), st.just("")),
)


def above(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


def is_tree(tree: Snapshot) -> bool:
    return all(tree[parent][0] == "directory" for name in tree for parent in above(name) if parent in tree)


trees = st.dictionaries(names, nodes, max_size=6).filter(is_tree)


def build(place: Place, tree: Snapshot) -> None:
    for name in sorted(tree):
        kind, mode, text = tree[name]
        path = place.live / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "directory":
            path.mkdir(exist_ok=True)
            path.chmod(mode)
        elif kind == "link":
            path.symlink_to(text)
        else:
            path.write_text(text)
            path.chmod(mode)


def wanted(tree: Snapshot) -> dict[str, Any]:
    of = {kind: {n: node for n, node in tree.items() if node[0] == kind} for kind in ("file", "link", "directory")}
    return {
        "files": {name: {"content": text, "mode": f"{mode:04o}"} for name, (kind, mode, text) in of["file"].items()},
        "links": {name: text for name, (kind, mode, text) in of["link"].items()},
        "directories": {name: f"{mode:04o}" for name, (kind, mode, text) in of["directory"].items()},
        "reload": "",
    }


@pytest.mark.parametrize("whole", [True, False], ids=["directory", "files"])
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(theirs=trees, first=trees, second=trees)
def test_a_run_leaves_the_wanted_and_the_unmanaged_and_nothing_else(
    whole: bool, theirs: Snapshot, first: Snapshot, second: Snapshot
) -> None:
    links = {name for tree in (theirs, first) for name in tree if tree[name][0] == "link"}
    assume(not links.intersection(parent for tree in (first, second) for name in tree for parent in above(name)))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        place = Place(Path(folder), whole)
        build(place, theirs)
        before = place.snapshot()
        taken: set[str] = set()
        for tree in (first, second):
            try:
                predicted = place.run(check=True, **wanted(tree))
            except InputError:
                assume(False)
            done = place.run(**wanted(tree))
            assert {key: predicted[key] for key in ("changed", "files", "removed", "diff")} == {
                key: done[key] for key in ("changed", "files", "removed", "diff")
            }
            taken |= {name for name in tree if tree[name][0] != "directory"}
            kept = {name: node for name, node in before.items() if name not in taken or name in tree}
            expected = {**kept, **tree}
            now = place.snapshot()
            for name, node in tree.items():
                assert now[name] == node
            for name in kept.keys() - tree.keys():
                if before[name][0] != "directory":
                    assert now[name] == before[name]
            implied = {parent for name in expected for parent in above(name)}
            assert set(now) == set(expected) | implied
            assert not place.run(**wanted(tree))["changed"]
            assert place.leftovers() == []
