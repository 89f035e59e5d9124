# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The dotenv filter: what is written, what is refused, and that the readers at hand agree with it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.minato.fleet.plugins.filter.dotenv import UnwritableError, dotenv, quoted
from dotenv import dotenv_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Reader = Callable[[Path], dict[str, Any]]

# The four readers with their own words, over a table of values: molecule/env_file.


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("production", "production"),
        ("3000", "3000"),
        ("postgresql://app:p%40ss@db.test:5432/medical", "postgresql://app:p%40ss@db.test:5432/medical"),
        ("two words", "'two words'"),
        ("a#b", "'a#b'"),
        ("cost $5", "'cost $5'"),
        ("C:\\temp\\new", "'C:\\temp\\new'"),
        ("line one\nline two\n", "'line one\nline two\n'"),
        ('say "yes"', "'say \"yes\"'"),
        ("it's", '"it\'s"'),
        ("~/data", "'~/data'"),
        ("こんにちは", "'こんにちは'"),
        (" kept ", "' kept '"),
    ],
)
def test_written(value: str, written: str) -> None:
    assert quoted(value) == written


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"JWT_SECRET": None}, "JWT_SECRET has no value"),
        ({"JWT_SECRET": ""}, "JWT_SECRET has no value"),
        ({"JWT_SECRET": "  "}, "JWT_SECRET has no value"),
        ({"DEBUG": True}, "DEBUG is a bool: write the value in quotes, as the app is to read it"),
        ({"RATE": 0.5}, "RATE is a float: write the value in quotes, as the app is to read it"),
        ({"HOSTS": ["a"]}, "HOSTS is a list: write the value in quotes, as the app is to read it"),
        ({"MY-KEY": "x"}, "MY-KEY is no name of a variable: letters, digits and _ only, and no digit at the beginning"),
        ({"1ST": "x"}, "1ST is no name of a variable: letters, digits and _ only, and no digit at the beginning"),
        ({"A": "x\r\ny"}, "A contains the character U+000D, which does not survive in an environment file"),
        ({"A": "s3cret\0"}, "A contains the character U+0000, which does not survive in an environment file"),
        (
            {"A": "it's 5$"},
            "A contains a single quote together with a dollar: not all readers of the file agree on both",
        ),
        (
            {"A": 'it\'s "it"'},
            "A contains a single quote together with a double quote: not all readers of the file agree on both",
        ),
        ({"A": "${HOME}"}, "A contains ${, which Python's dotenv expands whatever the quotes"),
        ({"A": "\\\\server"}, "A contains two backslashes in a row, which Python's dotenv reads as one"),
        (
            {"A": "dir\\"},
            "A ends with a backslash, which Python's dotenv takes for the escape of the closing quote",
        ),
    ],
)
def test_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        dotenv({"path": "/opt/shop/.env", "values": {"FINE": "x", **values}})
    assert str(caught.value) == f"/opt/shop/.env: {message}"


def test_a_number_is_written_as_its_digits_and_the_order_is_kept() -> None:
    assert dotenv({"path": "/x", "values": {"PORT": 3000, "A": "b c"}}) == "PORT=3000\nA='b c'\n"


# What readers stumble over. Every sequence of up to three is tried: a wrong rule meets the value that shows it.
PIECES = [
    "'",
    '"',
    "`",
    "$",
    "${",
    "}",
    "HOME",
    "$(id)",
    "\\",
    "\\n",
    "#",
    " ",
    "\n",
    "\t",
    "\r",
    "~",
    "=",
    "A=",
    "!",
    "é",
    "あ",
    "𝄞",
]
SEQUENCES = ["".join(pieces) for length in (1, 2, 3) for pieces in itertools.product(PIECES, repeat=length)]


def writable(values: list[str]) -> dict[str, str]:
    """Those that the filter takes, under names."""
    taken = {}
    for number, value in enumerate(values):
        try:
            quoted(value)
        except UnwritableError:
            continue
        if value.strip():
            taken[f"KEY_{number}"] = value
    return taken


def run(*command: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": "/home/of/someone"}
    return subprocess.run(command, capture_output=True, check=True, env=environment).stdout.decode()


def python_dotenv(path: Path) -> dict[str, Any]:
    return dict(dotenv_values(path))


def shell(path: Path) -> dict[str, Any]:
    listed = run("sh", "-c", f"set -a; . {path}; env -0").split("\0")
    return dict(line.split("=", 1) for line in listed if line.startswith("KEY_"))


def node(path: Path) -> dict[str, Any]:
    """Node's own reader; the npm package dotenv is read by the scenario."""
    script = "JSON.stringify(Object.fromEntries(Object.entries(process.env).filter(([k]) => k.startsWith('KEY_'))))"
    return dict(json.loads(run("node", f"--env-file={path}", "-p", script)))


def knows_env_files() -> bool:
    command = ["node", "--env-file=/dev/null", "-e", ""]
    return shutil.which("node") is not None and subprocess.run(command, check=False).returncode == 0


READERS = [python_dotenv, shell, *([node] if knows_env_files() else [])]


@pytest.mark.parametrize("read", READERS)
def test_every_sequence_that_is_taken_is_read_as_it_was_meant(tmp_path: Path, read: Reader) -> None:
    taken = writable(SEQUENCES)
    assert len(taken) > len(SEQUENCES) / 3
    path = tmp_path / ".env"
    path.write_bytes(dotenv({"path": str(path), "values": taken}).encode())
    assert read(path) == taken


@pytest.mark.parametrize("read", READERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.text(st.characters(), max_size=40), min_size=1, max_size=25))
def test_any_text_that_is_taken_is_read_as_it_was_meant(tmp_path: Path, read: Reader, values: list[str]) -> None:
    taken = writable(values)
    path = tmp_path / ".env"
    path.write_bytes(dotenv({"path": str(path), "values": taken}).encode())
    assert read(path) == taken
