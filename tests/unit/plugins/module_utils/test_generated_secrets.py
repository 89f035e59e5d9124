# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a secret comes from: the store, the file, or chance; and a store that is never half there."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._generated_secrets import (
    SecretsError,
    load,
    merged,
    plan,
    random_secret,
    read_present,
    save,
    value_of,
)

FILE = "/opt/shop/.env"


@pytest.mark.parametrize(
    ("stored", "present", "value", "made", "adopted"),
    [
        ({}, {}, "new", [f"{FILE}: A"], []),
        ({FILE: {"A": "kept"}}, {}, "kept", [], []),
        ({FILE: {"A": "kept"}}, {FILE: "A=other\n"}, "kept", [], []),
        ({}, {FILE: "A=present\n"}, "present", [], [f"{FILE}: A"]),
        ({FILE: {"B": "x"}, "/other": {"A": "x"}}, {FILE: "A=\nB=x\n"}, "new", [f"{FILE}: A"], []),
    ],
    ids=["nowhere", "stored", "stored and changed by hand", "in the file alone", "empty in the file"],
)
def test_plan(
    stored: dict[str, dict[str, str]], present: dict[str, str], value: str, made: list[str], adopted: list[str]
) -> None:
    planned = plan(stored, present, {FILE: ["A"]}, make=lambda: "new")
    assert planned == ({FILE: {"A": value}}, made, adopted)


def test_a_secret_is_32_random_bytes() -> None:
    one, other = random_secret(), random_secret()
    assert one != other
    assert len(base64.b64decode(one, validate=True)) == 32


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=abc+/=\n", "abc+/="),
        ("  export A = 'a b'  \n", "a b"),
        ('A="it\'s"\n', "it's"),
        ("A=first\nA=last\n", "last"),
        ("# A=comment\nAA=1\n", None),
        ("A=''\n", None),
        ("B='x\nA=not a variable\n'\n", None),
        ('B="x\nA=not a variable\n"\nA=this\n', "this"),
    ],
)
def test_value_of(text: str, value: str | None) -> None:
    assert value_of(text, "A", FILE) == value


@pytest.mark.parametrize("written", ["a b", "a # b", "$HOME", r"a\nb", '"a\\nb"', '"$HOME"', "'two\nlines'", "'open"])
def test_a_value_that_readers_read_differently_is_not_taken_over(written: str) -> None:
    with pytest.raises(SecretsError, match=f"^{FILE}: A is there already, but readers of the file do not agree"):
        value_of(f"A={written}\n", "A", FILE)


def test_the_store_is_written_for_its_owner_alone_and_forgets_nothing(tmp_path: Path) -> None:
    store = tmp_path / "secrets.json"
    save(str(store), {"/gone": {"A": "1"}, FILE: {"A": "1"}})
    save(str(store), merged(load(str(store)), {FILE: {"B": "2"}}))
    assert load(str(store)) == {"/gone": {"A": "1"}, FILE: {"A": "1", "B": "2"}}
    assert store.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({FILE: "A"})])
def test_a_damaged_store_is_not_taken_for_an_empty_one(tmp_path: Path, content: str) -> None:
    store = tmp_path / "secrets.json"
    store.write_text(content, encoding="utf-8")
    with pytest.raises(SecretsError, match="cannot be read: it is damaged"):
        load(str(store))


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert load(str(tmp_path / "secrets.json")) == {}


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("A=of another\n", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    assert read_present(str(tmp_path / "link")) == ""
    assert read_present(str(tmp_path / "secret")) == "A=of another\n"
    assert read_present(str(tmp_path)) == ""
