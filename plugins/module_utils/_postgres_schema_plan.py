# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a PostgreSQL server has and what it should have to ordered statements. Nothing here talks to a server."""

from __future__ import annotations

from typing import NamedTuple, Sequence

from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_grants import (
    PRESETS,
    acl_changes,
    borrowed,
    relation_changes,
    returned,
)
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_sql import (
    Part,
    Password,
    Raw,
    Statement,
    identifiers,
    name,
    names,
)
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_types import (
    Acl,
    Current,
    Database,
    DatabaseWanted,
    Index,
    IndexWanted,
    Role,
    RoleWanted,
    Schema,
    SchemaWanted,
    Wanted,
)


class Plan(NamedTuple):
    """What to run, in order; what a person should know; what makes it impossible (then nothing is run)."""

    statements: list[Statement]
    warnings: list[str]
    errors: list[str]


def fresh_database(owner: str) -> Database:
    """What CREATE DATABASE leaves: everybody may connect, one empty schema."""
    return Database(
        owner=owner,
        acl={"": ["CONNECT", "TEMPORARY"]},
        search_path={},
        schemas={"public": Schema(owner="pg_database_owner", acl={"": ["USAGE"]})},
        relations=[],
        defaults=[],
        extensions={},
        tables=[],
        indexes=[],
    )


def mistakes(wanted: Wanted) -> list[str]:
    """What is wrong with the input whatever the server looks like; empty if nothing."""
    found = _twice("role", [role["name"] for role in wanted["roles"]])
    found += _twice("database", [database["name"] for database in wanted["databases"]])
    found += [
        f"role {role['name']}: it has a password but login is false; drop the one or set the other"
        for role in wanted["roles"]
        if role["password"] and not role["login"]
    ]
    login = {role["name"] for role in wanted["roles"] if role["login"]}
    for database in wanted["databases"]:
        where = f"database {database['name']}"
        found += _twice(f"{where}: schema", [schema["name"] for schema in database["schemas"]])
        found += _twice(f"{where}: index", [f"{index['schema']}.{index['name']}" for index in database["indexes"]])
        for schema in database["schemas"]:
            for role, preset in schema["grants"].items():
                if preset not in PRESETS:
                    choices = " or ".join(PRESETS)
                    found.append(f"{where}, schema {schema['name']}: {role} is granted {preset!r}; it can be {choices}")
            for role in (schema["owner"], *schema["grants"]):
                if role in login and role not in database["connect"]:
                    found.append(f"{where}, schema {schema['name']}: {role} could not reach it; add it to connect")
    return list(dict.fromkeys(found))


def plan_objects(current: Current, wanted: Wanted) -> Plan:
    """Roles, databases, schemas and rights: everything but indexes."""
    errors = mistakes(wanted)
    errors += _unknown_roles(current, wanted)
    for item in wanted["databases"]:
        database = current["databases"].get(item["name"])
        errors += [
            f"database {item['name']}: the server does not offer the extension {extension}"
            for extension in item["extensions"]
            if database and extension not in database["extensions"]
        ]
    if errors:
        return Plan([], [], errors)
    statements = returned(current) + _roles(current, wanted)
    statements += [
        Statement(
            "",
            "CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0",
            {"database": name(item["name"])},
            f"database {item['name']} is missing",
            autocommit=True,
        )
        for item in wanted["databases"]
        if item["name"] not in current["databases"]
    ]
    managed = {role["name"] for role in wanted["roles"]}
    doors: list[Statement] = []
    for item in wanted["databases"]:
        doors += _doors(current, item, managed)
    statements += borrowed(current, doors)
    for item in wanted["databases"]:
        statements += borrowed(current, _inside(current, item, managed))
    return Plan(statements, [], [])


def plan_indexes(current: Current, wanted: Wanted, predict: bool = False) -> Plan:
    """The indexes; `predict` takes a table that is not there for one that a migration will have made."""
    plan = Plan(returned(current), [], mistakes(wanted))
    for item in wanted["databases"]:
        database = current["databases"].get(item["name"])
        if database is None:
            database = fresh_database(item["owner"])
            if not predict and item["indexes"]:
                plan.errors.append(f"database {item['name']} does not exist: run the whole role before its indexes")
                continue
        built = _indexes(database, item, predict)
        plan.statements.extend(borrowed(current, built.statements, lasting=True))
        plan.warnings.extend(built.warnings)
        plan.errors.extend(built.errors)
    return plan._replace(statements=[]) if plan.errors else plan


def _roles(current: Current, wanted: Wanted) -> list[Statement]:
    statements = []
    for role in wanted["roles"]:
        statements += _role(current["roles"].get(role["name"]), role)
    declared = {role["name"] for role in wanted["roles"]}
    owners = dict.fromkeys(item["owner"] for item in wanted["databases"])
    for owner in owners:
        if owner not in declared and owner not in current["roles"]:
            statements.append(
                Statement(
                    "",
                    "CREATE ROLE {role} NOLOGIN",
                    {"role": name(owner)},
                    f"role {owner} is missing; it is to own a database",
                )
            )
    return statements


def _role(have: Role | None, want: RoleWanted) -> list[Statement]:
    parts: dict[str, Part] = {"role": name(want["name"])}
    options = []
    reasons = []
    if have is None or have["login"] != want["login"]:
        options.append("LOGIN" if want["login"] else "NOLOGIN")
        reasons.append("it may log in" if want["login"] else "it may not log in")
    if (have["connection_limit"] if have else -1) != want["connection_limit"]:
        options.append("CONNECTION LIMIT {limit}")
        parts["limit"] = Raw(str(int(want["connection_limit"])))
        reasons.append("its number of connections differs")
    if want["password"] and (have is None or not have["password_right"]):
        options.append("PASSWORD {password}")
        parts["password"] = Password(want["name"])
        reasons.append("it cannot log in with the password given")
    if have is None:
        return [Statement("", "CREATE ROLE {role} " + " ".join(options), parts, f"role {want['name']} is missing")]
    if options:
        return [
            Statement("", "ALTER ROLE {role} " + " ".join(options), parts, f"role {want['name']}: {', '.join(reasons)}")
        ]
    return []


def _doors(current: Current, want: DatabaseWanted, managed: set[str]) -> list[Statement]:
    """Who owns the database, who may connect, and what each finds on its search path."""
    database, owner, master = want["name"], want["owner"], current["master"]
    have = current["databases"].get(database) or fresh_database(master)
    statements = []
    if have["owner"] != owner:
        parts: dict[str, Part] = {"database": name(database), "owner": name(owner)}
        why = f"database {database} belongs to {have['owner']}"
        statements.append(
            Statement("", "ALTER DATABASE {database} OWNER TO {owner}", parts, why, (have["owner"], owner))
        )
    # With a new owner, PostgreSQL moves the old one's entries to it.
    acl = {role: privileges for role, privileges in have["acl"].items() if role not in (have["owner"], owner)}
    # The master's own door: without it the next run could not look inside.
    connect = {*want["connect"], master} - {owner}
    allowed: Acl = {"": [], **{role: ["CONNECT"] if role in connect else [] for role in sorted(managed | connect)}}
    limits: Acl = {**{role: ["CONNECT"] for role in allowed}, "": ["CONNECT", "TEMPORARY"]}
    target: dict[str, Part] = {"database": name(database)}
    statements += acl_changes("", "DATABASE {database}", target, (owner,), acl, allowed, limits)
    for role, path in want["search_path"].items():
        if identifiers(have["search_path"].get(role) or "") != path:
            parts = {"role": name(role), "database": name(database), "path": names(path)}
            why = f"{role} has another search path there"
            statements.append(
                Statement("", "ALTER ROLE {role} IN DATABASE {database} SET search_path = {path}", parts, why)
            )
    return statements


def _inside(current: Current, want: DatabaseWanted, managed: set[str]) -> list[Statement]:
    database, owner = want["name"], want["owner"]
    have = current["databases"].get(database) or fresh_database(current["master"])
    statements = []
    public = have["schemas"].get("public")
    if public:
        # pg_database_owner cannot be lent; its one member, the owner of the database, can.
        holder = owner if public["owner"] == "pg_database_owner" else public["owner"]
        parts: dict[str, Part] = {"schema": name("public")}
        statements += acl_changes(
            database, "SCHEMA {schema}", parts, (holder,), public["acl"], {"": []}, {"": ["CREATE"]}
        )
    for extension in want["extensions"]:
        if not have["extensions"].get(extension):
            parts = {"extension": name(extension)}
            why = f"extension {extension} is missing"
            statements.append(Statement(database, "CREATE EXTENSION {extension} SCHEMA public", parts, why, (owner,)))
    for schema in want["schemas"]:
        statements += _schema(have, database, owner, schema, managed)
    return statements


def _schema(
    have: Database, database: str, database_owner: str, want: SchemaWanted, managed: set[str]
) -> list[Statement]:
    schema, owner = want["name"], want["owner"]
    found = have["schemas"].get(schema)
    parts: dict[str, Part] = {"schema": name(schema), "owner": name(owner)}
    statements = []
    if found is None:
        why = f"schema {schema} is missing"
        statements.append(
            Statement(database, "CREATE SCHEMA {schema} AUTHORIZATION {owner}", parts, why, (database_owner, owner))
        )
    elif found["owner"] != owner:
        holder = database_owner if found["owner"] == "pg_database_owner" else found["owner"]
        why = f"schema {schema} belongs to {found['owner']}"
        statements.append(
            Statement(database, "ALTER SCHEMA {schema} OWNER TO {owner}", parts, why, (holder, owner, database_owner))
        )
    presets = {role: want["grants"].get(role, "") for role in (*want["grants"], *sorted(managed)) if role != owner}

    def allowed(kind: str) -> Acl:
        return {role: PRESETS[preset][kind] if preset else [] for role, preset in presets.items()}

    acl = found["acl"] if found else {}
    statements += acl_changes(database, "SCHEMA {schema}", parts, (owner,), acl, allowed("schema"))
    relations = [relation for relation in have["relations"] if relation["schema"] == schema]
    statements += relation_changes(database, owner, relations, presets)
    for kind in ("table", "sequence"):
        defaults = [d["acl"] for d in have["defaults"] if (d["schema"], d["owner"], d["kind"]) == (schema, owner, kind)]
        statements += acl_changes(
            database,
            f"{kind.upper()}S",
            parts,
            (owner,),
            defaults[0] if defaults else {},
            allowed(kind),
            before="ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} ",
        )
    return statements


def _indexes(have: Database, want: DatabaseWanted, predict: bool) -> Plan:
    plan = Plan([], [], [])
    tables = {(table["schema"], table["name"]): table for table in have["tables"]}
    found = {(index["schema"], index["name"]): index for index in have["indexes"]}
    owners = {schema["name"]: schema["owner"] for schema in want["schemas"]}
    for index in want["indexes"]:
        schema = index["schema"]
        table = tables.get((schema, index["table"]))
        what = f"index {schema}.{index['name']} in {want['name']}"
        if table is None and not predict:
            plan.errors.append(f"{what}: there is no table {schema}.{index['table']}; have the migrations been run?")
            continue
        owner = table["owner"] if table else owners.get(schema, want["owner"])
        needs = tuple(dict.fromkeys([owner, table["schema_owner"] if table else owner]))
        present = found.get((schema, index["name"]))
        if present and present["building"]:
            plan.warnings.append(f"{what} is being built by another session; left alone")
        elif present and present["valid"]:
            _compare(plan, what, present, index)
        else:
            plan.statements.extend(_build(want["name"], index, present, needs))
    return plan


def _build(database: str, want: IndexWanted, present: Index | None, needs: Sequence[str]) -> list[Statement]:
    """Without a lock that writers would wait for. A half-built index is of no use to anybody and goes first."""
    index = f"{want['schema']}.{want['name']}"
    statements = []
    if present:
        statements.append(
            Statement(
                database,
                "DROP INDEX CONCURRENTLY {index}",
                {"index": name(want["schema"], want["name"])},
                f"index {index} is invalid: its making was interrupted",
                tuple(needs),
                autocommit=True,
            )
        )
    parts: dict[str, Part] = {
        "name": name(want["name"]),
        "table": name(want["schema"], want["table"]),
        "columns": names(want["columns"]),
    }
    template = f"CREATE{' UNIQUE' if want['unique'] else ''} INDEX CONCURRENTLY {{name}} ON {{table}} ({{columns}})"
    if want["where"]:
        template += " WHERE {where}"
        parts["where"] = Raw(want["where"])
    why = f"index {index} is {'made again' if present else 'missing'}"
    return [*statements, Statement(database, template, parts, why, tuple(needs), autocommit=True)]


def _compare(plan: Plan, what: str, present: Index, want: IndexWanted) -> None:
    """An index of that name is there and valid: is it the one that is wanted? It is never replaced unasked."""
    columns = [_column(column) for column in present["columns"]]
    where = want["where"] or ""
    differences = []
    if present["table"] != want["table"]:
        differences.append(f"it is on table {present['table']}, not {want['table']}")
    if columns != want["columns"]:
        differences.append(f"it is on ({', '.join(columns)}), not ({', '.join(want['columns'])})")
    if present["unique"] != want["unique"]:
        differences.append(f"it is {'unique' if present['unique'] else 'not unique'}")
    if bool(present["where"]) != bool(where):
        differences.append(f"it is {'partial' if present['where'] else 'not partial'}")
    if differences:
        plan.errors.append(
            f"{what}: {'; '.join(differences)}; give the new one another name, or drop the old one yourself"
        )
    elif _predicate(present["where"]) != _predicate(where):
        plan.warnings.append(
            f"{what}: the server spells its predicate {present['where']}, the input {where}; "
            "if they mean the same, write it as the server does, else give the new one another name"
        )


def _column(text: str) -> str:
    """The name behind PostgreSQL's spelling of an indexed column; an expression stays as it is."""
    found = identifiers(text)
    return found[0] if len(found) == 1 and "(" not in text else text


def _predicate(text: str) -> str:
    """The predicate without what its spelling leaves open: outer brackets, space, case."""
    text = " ".join(text.lower().split())
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


def _unknown_roles(current: Current, wanted: Wanted) -> list[str]:
    """Roles that are named somewhere, declared nowhere and not on the server."""
    known = {*current["roles"], current["master"], *(role["name"] for role in wanted["roles"])}
    known.update(database["owner"] for database in wanted["databases"])
    found = []
    for database in wanted["databases"]:
        where = f"database {database['name']}"
        places = {f"{where}, connect": database["connect"], f"{where}, search_path": list(database["search_path"])}
        for schema in database["schemas"]:
            places[f"{where}, schema {schema['name']}"] = [schema["owner"], *schema["grants"]]
        found += [
            f"{place}: there is no role {role}; declare it among the roles"
            for place, roles in places.items()
            for role in roles
            if role not in known
        ]
    return found


def _twice(what: str, values: list[str]) -> list[str]:
    return [f"{what} {value} is listed twice" for value in dict.fromkeys(values) if values.count(value) > 1]
