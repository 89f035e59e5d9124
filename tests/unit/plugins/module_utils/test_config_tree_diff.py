# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `--diff` shows, and what it never shows."""

from __future__ import annotations

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_diff import diff, env_values, secret_values
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_plan import Change, Node, Plan


def file(content: str, mode: int = 0o600, secret: bool = True) -> Node:
    return Node("file", "root", "root", mode, content=content.encode(), secret=secret)


def shown(before: Node | None, after: Node | None) -> list[dict[str, str]]:
    return diff(Plan((Change("/etc/x", before, after),), {}, {}))


@pytest.mark.parametrize(
    ("before", "after", "left", "right"),
    [
        (None, "A=1\nB=2\n", "", "A=(hidden)\nB=(hidden)\n"),
        ("A=1\nB=2\n", "A=1\nB=3\n", "B=(hidden)\n", "B=(hidden, changed)\n"),
        ("A=1\nB=2\n", "B=2\nC=3\n", "A=(hidden)\n", "C=(hidden)\n"),
        ("A=1\n", None, "A=(hidden)\n", ""),
        ("A=1\n", "# note\nA=1\n", "(content hidden)\n", "(content hidden, changed)\n"),
        ("A=1\n", "-----BEGIN KEY-----\nQUJD=\n", "(content hidden)\n", "(content hidden, changed)\n"),
        (None, 'A="line one\nSECRET=line two"\nB=1\n', "", "A=(hidden)\nB=(hidden)\n"),
        ("A='x\ny'\nB=1\n", "A='x\nz'\nB=1", "A=(hidden)\n", "A=(hidden, changed)\n"),
        (None, 'A="line one\nSECRET=line two\n', "", "(content hidden, changed)\n"),
        (None, "A=it's\nSECRET=y'\n", "", "(content hidden, changed)\n"),
        (None, "A='x' y\nSECRET=y\n", "", "(content hidden, changed)\n"),
        (None, "A=line one\\\nSECRET=line two\n", "", "(content hidden, changed)\n"),
    ],
)
def test_a_secret_file_shows_names_of_keys_or_nothing(
    before: str | None, after: str | None, left: str, right: str
) -> None:
    (entry,) = shown(
        file(before) if before is not None else None,
        file(after) if after is not None else None,
    )
    assert (entry["before"], entry["after"]) == (left, right)


def test_a_file_that_was_secret_before_stays_hidden() -> None:
    (entry,) = shown(file("A=hunter2\n"), file("plain\n", mode=0o600, secret=False))
    assert "hunter2" not in entry["before"]


def test_access_is_a_diff_of_its_own() -> None:
    content, access = shown(file("1\n", 0o644, secret=False), file("2\n", 0o600, secret=False))
    assert (content["before"], content["after"]) == ("1\n", "2\n")
    assert (access["before"], access["after"]) == ("root:root 0644\n", "root:root 0600\n")


def test_binary_content_is_named_by_its_digest() -> None:
    (entry,) = shown(None, Node("file", "root", "root", 0o644, content=b"\xff\x00"))
    assert entry["after"].startswith("(binary, 2 bytes, SHA-256 ")


def test_a_secret_masks_its_values_and_lines_but_not_trifles() -> None:
    hidden = secret_values([file("A='hunter2'\nB=1\n"), file("open\n", secret=False)])
    assert {"A='hunter2'", "hunter2"} <= set(hidden)
    assert hidden == sorted(hidden, key=len, reverse=True), "a part must not be masked before the whole"
    assert not {"1", "open"} & set(hidden)


def test_env_values_reads_plain_files_only() -> None:
    assert env_values(file("# c\n\nexport A=1\nB='x y'\n")) == {"A": "1", "B": "'x y'"}
    assert env_values(file("A: 1\n")) is None
