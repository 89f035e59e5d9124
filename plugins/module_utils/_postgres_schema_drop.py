# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to be dropped: why it may not be, one sentence for each reason, and in what order it goes.

An object is dropped when it is named twice, in its own entry and in `confirm_drop`. A database or a schema is dropped
only after a dump that has the rows of each of its tables, by the number that this server gave the table: the dump of
another server's database of the same name is no help.
"""

from __future__ import annotations

import time
from typing import NamedTuple, Sequence

from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_sql import Statement, name, quoted
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_types import Current, Tied, Wanted

# What can keep its owner and yet be freed of a role's rights by the plan for its schema.
_FREED = ("schema", "table", "view", "materialized view", "foreign table", "sequence")
SHOWN = 10  # of a list, in a sentence


class Doomed(NamedTuple):
    """Something whose entry says absent. `schema` is "" but for a schema; `there`: the server has it."""

    label: str
    database: str
    schema: str
    dump: str
    there: bool


def doomed(current: Current | None, wanted: Wanted, indexes: bool) -> list[Doomed]:
    """All that is to go, the whole before its parts. Without `current` everything is taken to be there."""
    found = []
    for item in wanted["databases"]:
        have = current["databases"].get(item["name"]) if current else None
        if item["state"] == "absent":
            if not indexes:
                there = current is None or have is not None
                found.append(Doomed(f"database {item['name']}", item["name"], "", item["dump"] or "", there))
            continue
        for index in item["indexes"] if indexes else ():
            if index["state"] == "absent":
                key = (index["schema"], index["name"])
                there = have is None or key in {(one["schema"], one["name"]) for one in have["indexes"]}
                label = f"index {item['name']}.{index['schema']}.{index['name']}"
                found.append(Doomed(label, item["name"], index["schema"], "", there))
        for schema in item["schemas"] if not indexes else ():
            if schema["state"] == "absent":
                there = current is None or bool(have and schema["name"] in have["schemas"])
                label = f"schema {item['name']}.{schema['name']}"
                found.append(Doomed(label, item["name"], schema["name"], schema["dump"] or "", there))
    for role in wanted["roles"] if not indexes else ():
        if role["state"] == "absent":
            there = current is None or role["name"] in current["roles"]
            found.append(Doomed(f"role {role['name']}", "", "", "", there))
    return found


def refusals(current: Current, wanted: Wanted, indexes: bool, now: float | None = None) -> list[str]:
    """Why something may not be dropped; empty if all may."""
    now = time.time() if now is None else now
    gone = doomed(current, wanted, indexes)
    labels = [one.label for one in gone]
    found = [
        f"confirm_drop names {label!r}, but no entry has the state absent that it could mean; take it out, or mend it"
        for label in wanted["confirm_drop"]
        if label not in labels and label.startswith("index ") == indexes
    ]
    for one in gone:
        if not one.there:
            continue
        if one.label not in wanted["confirm_drop"]:
            found.append(
                f"{one.label}: only its entry says that it is to go; add {one.label!r} to confirm_drop as well"
            )
        if one.label.startswith(("database ", "schema ")):
            found += _dump_refusals(current, wanted, one, now)
            found += _use_refusals(current, one)
    for role in wanted["roles"] if not indexes else ():
        if role["state"] == "absent" and role["name"] in current["roles"]:
            found += _role_refusals(current, wanted, role["name"])
    return found


def dump_paths(current: Current, wanted: Wanted) -> list[str]:
    """The dumps that have to be looked at."""
    return list(dict.fromkeys(one.dump for one in doomed(current, wanted, False) if one.there and one.dump))


def drop_database(database: str, owner: str) -> Statement:
    """DROP DATABASE knows no transaction."""
    why = f"database {database} is to go"
    return Statement("", "DROP DATABASE {database}", {"database": name(database)}, why, (owner,), autocommit=True)


def drop_schema(database: str, schema: str, owner: str) -> Statement:
    """With all that is in it."""
    why = f"schema {schema} is to go"
    return Statement(database, "DROP SCHEMA {schema} CASCADE", {"schema": name(schema)}, why, (owner,))


def drop_roles(current: Current, wanted: Wanted) -> list[Statement]:
    """Last: what they hold has been taken from them by then."""
    return [
        Statement("", "DROP ROLE {role}", {"role": name(role["name"])}, f"role {role['name']} is to go")
        for role in wanted["roles"]
        if role["state"] == "absent" and role["name"] in current["roles"]
    ]


def _dump_refusals(current: Current, wanted: Wanted, one: Doomed, now: float) -> list[str]:
    limit = wanted["dump_max_age"]
    if not one.dump:
        make = f"pg_dump --format=custom --file=FILE {one.database}"
        return [f"{one.label}: it is dropped only after a dump; make one ({make}) and name the file as its dump"]
    dump = current["dumps"][one.dump]
    where = f"{one.label}: the dump {one.dump}"
    if dump["problem"]:
        return [f"{where} {dump['problem']}"]
    if dump["database"] != one.database:
        return [f"{where} is one of the database {dump['database']}; make one of {one.database}"]
    age = int(now - dump["made"])
    if age > limit or age < -60:
        told = f"{age} seconds old, {limit} at most" if age > limit else f"from the future, by {-age} seconds"
        return [f"{where} is {told}; make a new one"]
    rows = current["databases"][one.database]["rows"]
    lacking = [
        f"{schema}.{table}" for oid, schema, table in rows if one.schema in ("", schema) and oid not in dump["tables"]
    ]
    if lacking:
        return [f"{where} does not have the rows of {_listed(lacking)} on this server; make a new one, of all of it"]
    return []


def _use_refusals(current: Current, one: Doomed) -> list[str]:
    database = current["databases"][one.database]
    if one.schema:
        users = database["leaned_on"].get(one.schema, [])
        return [f"{one.label}: other schemas need what is in it: {_listed(users)}; drop that first"] if users else []
    sessions = [
        f"{session['number']} of {session['user']}"
        for session in current["sessions"]
        if session["database"] == one.database
    ]
    return [f"{one.label}: it is in use, by sessions: {_listed(sessions)}; stop what uses it"] if sessions else []


def _role_refusals(current: Current, wanted: Wanted, role: str) -> list[str]:
    found = []
    ties = [tie for tie in current["ties"] if tie["role"] == role and not _let_go(tie, current, wanted)]
    owned = [_told(tie) for tie in ties if tie["owns"]]
    rights = [_told(tie) for tie in ties if not tie["owns"]]
    if owned:
        found.append(f"role {role}: it owns {_listed(owned)}; give that to another role, or drop it, first")
    if rights:
        found.append(f"role {role}: it still has rights on {_listed(rights)}; revoke them first")
    sessions = [
        f"{session['number']} in {session['database']}" for session in current["sessions"] if session["user"] == role
    ]
    if sessions:
        found.append(f"role {role}: it is in use, by sessions: {_listed(sessions)}; stop what uses it")
    return found


def _let_go(tie: Tied, current: Current, wanted: Wanted) -> bool:
    """Whether this very run undoes it: by dropping what it is on, or by taking the right away."""
    items = {item["name"]: item for item in wanted["databases"]}
    if tie["type"] == "database":
        item = next((item for item in items.values() if quoted(item["name"]) == tie["name"]), None)
        return item is not None and (item["state"] == "absent" or not tie["owns"])
    item = items.get(tie["database"])
    if item is None:
        return False
    if item["state"] == "absent":
        return True
    name_of = tie["name"] if tie["type"] == "schema" else tie["schema"]
    for schema in item["schemas"]:
        if name_of not in (schema["name"], quoted(schema["name"])):
            continue
        if schema["state"] == "absent":
            return True
        if tie["type"] == "default acl":
            return tie["name"] in (schema["owner"], *(role["name"] for role in wanted["roles"]))
        return not tie["owns"] and tie["type"] in _FREED
    return False


def _told(tie: Tied) -> str:
    return f"{tie['text']} in {tie['database']}" if tie["database"] else tie["text"]


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more
