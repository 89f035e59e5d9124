# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What cannot work in a description of databases and roles, one sentence for each mistake."""

from __future__ import annotations

from typing import Iterator

from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_grants import PRESETS
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_types import (
    Current,
    DatabaseWanted,
    SchemaWanted,
    Wanted,
)


def mistakes(wanted: Wanted) -> list[str]:
    """What is wrong with the input whatever the server looks like; empty if nothing."""
    found = _twice("role", [role["name"] for role in wanted["roles"]])
    found += _twice("database", [database["name"] for database in wanted["databases"]])
    found += [
        f"role {role['name']}: it has a password but login is false; drop the one or set the other"
        for role in wanted["roles"]
        if role["password"] and not role["login"] and role["state"] == "present"
    ]
    for database in _present(wanted):
        found += _database_mistakes(wanted, database)
    gone = {role["name"] for role in wanted["roles"] if role["state"] == "absent"}
    found += [
        f"{place}: it names {role}, a role with the state absent; take it out there"
        for place, role in _named(wanted)
        if role in gone
    ]
    return list(dict.fromkeys(found))


def unknown_roles(current: Current, wanted: Wanted) -> list[str]:
    """Roles that are named somewhere, declared nowhere and not on the server."""
    known = {*current["roles"], current["master"], *(role["name"] for role in wanted["roles"])}
    known.update(database["owner"] for database in wanted["databases"])
    found = [
        f"{place}: there is no role {role}; declare it among the roles"
        for place, role in _named(wanted)
        if role not in known
    ]
    return list(dict.fromkeys(found))


def _database_mistakes(wanted: Wanted, database: DatabaseWanted) -> list[str]:
    where = f"database {database['name']}"
    login = {role["name"] for role in wanted["roles"] if role["login"]}
    declared = {role["name"] for role in wanted["roles"]}
    schemas = [schema for schema in database["schemas"] if schema["state"] == "present"]
    found = _twice(f"{where}: schema", [schema["name"] for schema in database["schemas"]])
    found += _twice(f"{where}: index", [f"{index['schema']}.{index['name']}" for index in database["indexes"]])
    for schema in schemas:
        here = f"{where}, schema {schema['name']}"
        found += _owner_mistakes(here, schema)
        for role, preset in schema["grants"].items():
            if preset not in PRESETS:
                choices = ", ".join(list(PRESETS)[:-1]) + f" or {list(PRESETS)[-1]}"
                found.append(f"{here}: {role} is granted {preset!r}; it can be {choices}")
            if preset == "migrator" and role in declared - login:
                found.append(f"{here}: the migrator {role} cannot log in; set its login, or make it the owner")
        for role in (schema["owner"], *schema["grants"]):
            if role in login and role not in database["connect"]:
                found.append(f"{here}: {role} could not reach it; add it to connect")
    return found + _migrator_mistakes(where, schemas)


def _owner_mistakes(here: str, schema: SchemaWanted) -> list[str]:
    owner = schema["owner"]
    if not owner:
        return [f"{here}: nobody owns it; write owner: NAME, or grant somebody owner"]
    found = [
        f"{here}: {owner} owns it, and {role} is granted owner; a schema has one, make the other a migrator"
        for role, preset in schema["grants"].items()
        if preset == "owner" and role != owner
    ]
    if schema["grants"].get(owner, "owner") != "owner":
        found.append(f"{here}: {owner} owns it and needs no {schema['grants'][owner]} there; take the grant out")
    return found


def _migrator_mistakes(where: str, schemas: list[SchemaWanted]) -> list[str]:
    """Who works as an owner from its login on works as that one everywhere in the database."""
    found = []
    works_as: dict[str, str] = {}
    for schema in schemas:
        for role, preset in schema["grants"].items():
            if preset == "migrator":
                works_as.setdefault(role, schema["owner"])
    for schema in schemas:
        for role in dict.fromkeys([schema["owner"], *schema["grants"]]):
            owner = works_as.get(role)
            if owner and schema["owner"] != owner:
                found.append(
                    f"{where}: {role} is a migrator and works as {owner}, so it can have nothing in the schema "
                    f"{schema['name']} of {schema['owner']}; give both schemas one owner, or use a second role"
                )
    return found


def _named(wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Each place that names a role, and the role."""
    for database in _present(wanted):
        where = f"database {database['name']}"
        yield f"{where}, owner", database["owner"]
        for role in database["connect"]:
            yield f"{where}, connect", role
        for role in database["search_path"]:
            yield f"{where}, search_path", role
        for schema in database["schemas"]:
            if schema["state"] == "present":
                owner = [schema["owner"]] if schema["owner"] else []
                for role in (*owner, *schema["grants"]):
                    yield f"{where}, schema {schema['name']}", role


def _present(wanted: Wanted) -> list[DatabaseWanted]:
    return [database for database in wanted["databases"] if database["state"] == "present"]


def _twice(what: str, values: list[str]) -> list[str]:
    return [f"{what} {value} is listed twice" for value in dict.fromkeys(values) if values.count(value) > 1]
