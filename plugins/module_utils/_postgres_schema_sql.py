# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A statement for PostgreSQL as data: a template, the names and values that go into it, and why it is wanted.

The plan is made of these. They are shown to people (`Statement.text`) without a driver at hand and without any
password, and sent to a server by `_postgres_schema`, where the driver does the quoting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple, Union

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*\Z")
_ITEM = re.compile(r'"((?:[^"]|"")*)"|([^",\s]+)')


class Names(NamedTuple):
    """One or more identifiers, separated by commas; each is a tuple of its parts: ("medical", "staff")."""

    items: tuple[tuple[str, ...], ...]


class Text(NamedTuple):
    """A string constant."""

    value: str


class Password(NamedTuple):
    """The password of a role: sent as its SCRAM verifier, never shown."""

    role: str


class Raw(NamedTuple):
    """SQL taken as it is: keywords that this collection wrote, or the predicate of an index."""

    sql: str


Part = Union[Names, Text, Password, Raw]


@dataclass
class Statement:
    """One change. `needs` are the roles whose rights the master must hold while it runs; `autocommit` statements
    cannot run in a transaction, all others of one step share one. `database` "" is the one logged in to. `remedies`
    are what to do about it, for what the server may answer, by its SQLSTATE; `undo` is run where it fails."""

    database: str
    template: str
    parts: dict[str, Part]
    why: str
    needs: tuple[str, ...] = ()
    autocommit: bool = False
    remedies: dict[str, str] = field(default_factory=dict)
    undo: Statement | None = None
    text: str = field(init=False)

    def __post_init__(self) -> None:
        self.text = self.template.format(**{name: shown(part) for name, part in self.parts.items()})


class Plan(NamedTuple):
    """What to run, in order; what a person should know; what makes it impossible (then nothing is run)."""

    statements: list[Statement]
    warnings: list[str]
    errors: list[str]


def name(*parts: str) -> Names:
    """One identifier, with its schema before it if there is one."""
    return Names((parts,))


def names(items: list[str]) -> Names:
    """Several identifiers of one part each."""
    return Names(tuple((item,) for item in items))


def shown(part: Part) -> str:
    """The part as people read it; a name is quoted only where PostgreSQL asks for it."""
    if isinstance(part, Names):
        return ", ".join(".".join(quoted(piece) for piece in item) for item in part.items)
    if isinstance(part, Text):
        return "'" + part.value.replace("'", "''") + "'"
    if isinstance(part, Password):
        return "'********'"
    return part.sql


def quoted(identifier: str) -> str:
    """The identifier for reading: bare if it is plain, else in double quotes."""
    return identifier if _PLAIN.match(identifier) else '"' + identifier.replace('"', '""') + '"'


def identifiers(text: str) -> list[str]:
    """Names out of PostgreSQL's own spelling of a list of them: `medical, "$user"` -> ["medical", "$user"]."""
    return [found.group(2) or found.group(1).replace('""', '"') for found in _ITEM.finditer(text)]
