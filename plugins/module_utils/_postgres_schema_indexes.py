# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The indexes of one database: which statements make, make again or drop them, without a lock that writers wait for."""

from __future__ import annotations

import re
from typing import Iterator, Sequence

from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_sql import (
    Part,
    Plan,
    Raw,
    Statement,
    identifiers,
    name,
)
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_types import (
    Database,
    DatabaseWanted,
    Index,
    IndexWanted,
)

# Anything else among the columns is SQL.
_NAME = re.compile(r"\w[\w$]*\Z")
_QUOTED = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*'|[(),])""")


def plan_of(have: Database, want: DatabaseWanted, predict: bool) -> Plan:
    """`predict` takes a table that is not there for one that a migration will have made."""
    plan = Plan([], [], [])
    tables = {(table["schema"], table["name"]): table for table in have["tables"]}
    found = {(index["schema"], index["name"]): index for index in have["indexes"]}
    owners = {schema["name"]: schema["owner"] for schema in want["schemas"]}
    for index in want["indexes"]:
        schema = index["schema"]
        table = tables.get((schema, index["table"]))
        what = f"index {schema}.{index['name']} in {want['name']}"
        present = found.get((schema, index["name"]))
        owner = table["owner"] if table else owners.get(schema) or want["owner"]
        needs = tuple(dict.fromkeys([owner, table["schema_owner"] if table else owner]))
        if present and present["building"]:
            plan.warnings.append(f"{what} is being built by another session; left alone")
        elif index["state"] == "absent":
            _drop(plan, what, want["name"], index, present, needs)
        elif table is None and not predict:
            plan.errors.append(f"{what}: there is no table {schema}.{index['table']}; have the migrations been run?")
        elif present and present["valid"]:
            _compare(plan, what, present, index)
        else:
            plan.statements.extend(_build(want["name"], index, present, needs))
    return plan


def index_lists(definition: str) -> tuple[list[str], list[str]]:
    """What PostgreSQL says an index is on, and what it carries along: `... (a, lower(b)) INCLUDE (c) WHERE ...`."""
    groups = list(_groups(definition))
    columns = groups[0][1] if groups else []
    included = [items for before, items in groups[1:2] if before.strip() == "INCLUDE"]
    return columns, included[0] if included else []


def _groups(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each outermost pair of brackets: what stands before it, and the items in it."""
    before, depth, items = "", 0, [""]
    for piece in _QUOTED.split(text):
        opens, closes = piece == "(", piece == ")"
        depth -= closes
        if depth == 0 and closes:
            yield before, [item.strip() for item in items]
            before, items = "", [""]
        elif depth == 1 and piece == ",":
            items.append("")
        elif depth:
            items[-1] += piece
        elif not opens:
            before += piece
        depth += opens


def _build(database: str, want: IndexWanted, present: Index | None, needs: Sequence[str]) -> list[Statement]:
    """A half-built index is of no use to anybody, and a unique one turns rows away all the same; so it goes first, and
    again if this attempt fails."""
    index = f"{want['schema']}.{want['name']}"
    statements = [_dropped(database, want, f"index {index} is invalid: its making was interrupted", needs)]
    parts: dict[str, Part] = {"name": name(want["name"]), "table": name(want["schema"], want["table"])}
    lists = []
    for key, items in (("column", want["columns"]), ("include", want["include"])):
        own: dict[str, Part] = {
            f"{key}{number}": name(item) if _NAME.match(item) else Raw(item) for number, item in enumerate(items)
        }
        lists.append(", ".join(f"{{{part}}}" for part in own))
        parts.update(own)
    template = f"CREATE{' UNIQUE' if want['unique'] else ''} INDEX CONCURRENTLY {{name}} ON {{table}} "
    if want["method"] != "btree":
        template += "USING {method} "
        parts["method"] = name(want["method"])
    template += f"({lists[0]})"
    if want["include"]:
        template += f" INCLUDE ({lists[1]})"
    if want["where"]:
        template += " WHERE {where}"
        parts["where"] = Raw(want["where"])
    columns, table = ", ".join(want["columns"]), f"{want['schema']}.{want['table']}"
    where = f" WHERE {want['where']}" if want["where"] else ""
    statement = Statement(
        database,
        template,
        parts,
        f"index {index} is {'made again' if present else 'missing'}",
        tuple(needs),
        autocommit=True,
        remedies={
            "23505": f"rows of {table} have the same values there; find them with "
            f"SELECT {columns}, count(*) FROM {table}{where} GROUP BY {columns} HAVING count(*) > 1"
        },
        undo=_dropped(database, want, "it could not be made", needs),
    )
    return [*(statements if present else []), statement]


def _drop(plan: Plan, what: str, database: str, want: IndexWanted, present: Index | None, needs: Sequence[str]) -> None:
    if present is None:
        return
    if present["table"] != want["table"]:
        plan.errors.append(
            f"{what} is on table {present['table']}, not {want['table']}: say which one is to be dropped"
        )
    elif present["constraint"]:
        plan.errors.append(f"{what} is what a constraint of {want['table']} is made of: drop that in a migration")
    else:
        plan.statements.append(_dropped(database, want, f"index {want['schema']}.{want['name']} is to go", needs))


def _dropped(database: str, want: IndexWanted, why: str, needs: Sequence[str]) -> Statement:
    parts: dict[str, Part] = {"index": name(want["schema"], want["name"])}
    return Statement(database, "DROP INDEX CONCURRENTLY {index}", parts, why, tuple(needs), autocommit=True)


def _compare(plan: Plan, what: str, present: Index, want: IndexWanted) -> None:
    """An index of that name is there and valid: is it the one that is wanted? It is never replaced unasked."""
    columns = [_column(column) for column in present["columns"]]
    include = [_column(column) for column in present["include"]]
    where = want["where"] or ""
    differences: list[str] = []
    spellings: list[tuple[str, str]] = []
    if present["table"] != want["table"]:
        differences.append(f"it is on table {present['table']}, not {want['table']}")
    if present["method"] != want["method"]:
        differences.append(f"it is {present['method']}, not {want['method']}")
    if len(columns) != len(want["columns"]) or any(
        have != wish for have, wish in zip(columns, want["columns"]) if _NAME.match(have) or _NAME.match(wish)
    ):
        differences.append(f"it is on ({', '.join(columns)}), not ({', '.join(want['columns'])})")
    else:
        spellings += zip(columns, want["columns"])
    if include != want["include"]:
        differences.append(f"it includes ({', '.join(include)}), not ({', '.join(want['include'])})")
    if present["unique"] != want["unique"]:
        differences.append(f"it is {'unique' if present['unique'] else 'not unique'}")
    if bool(present["where"]) != bool(where):
        differences.append(f"it is {'partial' if present['where'] else 'not partial'}")
    else:
        spellings.append((present["where"], where))
    if differences:
        plan.errors.append(
            f"{what}: {'; '.join(differences)}; give the new one another name, and this one the state absent"
        )
        return
    plan.warnings.extend(
        f"{what}: the server spells {have}, the input {wish}; "
        "if they mean the same, write it as the server does, else give the new one another name"
        for have, wish in spellings
        if _plain(have) != _plain(wish)
    )


def _column(text: str) -> str:
    """The name behind PostgreSQL's spelling of an indexed column; an expression stays as it is."""
    found = identifiers(text)
    return found[0] if len(found) == 1 and "(" not in text else text


def _plain(text: str) -> str:
    """SQL without what its spelling leaves open: outer brackets, space, case."""
    text = " ".join(text.lower().split()) if not _NAME.match(text) else text
    while text.startswith("(") and text.endswith(")") and _encloses(text):
        text = text[1:-1].strip()
    return text


def _encloses(text: str) -> bool:
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return position == len(text) - 1
    return False
