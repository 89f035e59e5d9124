# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a PostgreSQL server has and what it should have to ordered statements. Nothing here talks to a server."""

from __future__ import annotations

from ansible_collections.minato.fleet.plugins.module_utils import _postgres_schema_indexes as indexes_of
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_drop import (
    drop_database,
    drop_roles,
    drop_schema,
    refusals,
)
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_grants import (
    PRESETS,
    acl_changes,
    borrowed,
    handed_over,
    memberships,
    relation_changes,
    returned,
)
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_mistakes import mistakes, unknown_roles
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_sql import (
    Part,
    Password,
    Plan,
    Raw,
    Statement,
    Text,
    identifiers,
    name,
    names,
)
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_types import (
    Acl,
    Current,
    Database,
    DatabaseWanted,
    Relation,
    Role,
    RoleWanted,
    Schema,
    SchemaWanted,
    Wanted,
)


def fresh_database(owner: str) -> Database:
    """What CREATE DATABASE leaves: everybody may connect, one empty schema."""
    return Database(
        owner=owner,
        acl={"": ["CONNECT", "TEMPORARY"]},
        search_path={},
        acting={},
        schemas={"public": Schema(owner="pg_database_owner", acl={"": ["USAGE"]})},
        relations=[],
        things=[],
        defaults=[],
        extensions={},
        tables=[],
        indexes=[],
        rows=[],
        leaned_on={},
    )


def plan_objects(current: Current, wanted: Wanted) -> Plan:
    """Roles, databases, schemas and rights: everything but indexes."""
    errors = mistakes(wanted) + unknown_roles(current, wanted)
    errors += _extension_errors(current, wanted) + refusals(current, wanted, False)
    if errors:
        return Plan([], [], errors)
    present = [item for item in wanted["databases"] if item["state"] == "present"]
    statements = returned(current) + _roles(current, wanted) + memberships(current, wanted)
    statements += [
        Statement(
            "",
            "CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0",
            {"database": name(item["name"])},
            f"database {item['name']} is missing",
            autocommit=True,
        )
        for item in present
        if item["name"] not in current["databases"]
    ]
    managed = {role["name"] for role in wanted["roles"]}
    doors: list[Statement] = []
    for item in present:
        doors += _doors(current, item, managed)
    statements += borrowed(current, doors)
    for item in present:
        statements += borrowed(current, _inside(current, item, managed))
    for item in wanted["databases"]:
        have = current["databases"].get(item["name"])
        if have and item["state"] == "absent":
            statements += borrowed(current, [drop_database(item["name"], have["owner"])], lasting=True)
    return Plan(statements + drop_roles(current, wanted), [], [])


def plan_indexes(current: Current, wanted: Wanted, predict: bool = False) -> Plan:
    """The indexes; `predict` takes a table that is not there for one that a migration will have made."""
    plan = Plan(returned(current), [], mistakes(wanted) + refusals(current, wanted, True))
    for item in wanted["databases"]:
        if item["state"] == "absent":
            continue
        database = current["databases"].get(item["name"])
        if database is None:
            database = fresh_database(item["owner"])
            if not predict and item["indexes"]:
                plan.errors.append(f"database {item['name']} does not exist: run the whole role before its indexes")
                continue
        built = indexes_of.plan_of(database, item, predict)
        plan.statements.extend(borrowed(current, built.statements, lasting=True))
        plan.warnings.extend(built.warnings)
        plan.errors.extend(built.errors)
    return plan._replace(statements=[]) if plan.errors else plan


def _extension_errors(current: Current, wanted: Wanted) -> list[str]:
    found = []
    for item in wanted["databases"]:
        database = current["databases"].get(item["name"])
        known = database["extensions"] if database else current["extensions"]
        for extension in item["extensions"] if item["state"] == "present" else ():
            where = f"database {item['name']}, extension {extension}"
            reason = {
                "superuser": f"only a superuser may make it here, and {current['master']} is none; "
                "ask whoever runs the server to make it, or leave it out",
                "not allowed": "the server's parameter rds.allowed_extensions does not list it; "
                "add it there, or leave it out",
                "": "the server does not have it; install it there, or leave it out",
            }.get(known.get(extension, ""))
            if reason:
                found.append(f"{where}: {reason}")
    return found


def _roles(current: Current, wanted: Wanted) -> list[Statement]:
    statements = []
    for role in wanted["roles"]:
        if role["state"] == "present":
            statements += _role(current["roles"].get(role["name"]), role)
    declared = {role["name"] for role in wanted["roles"]}
    owners = dict.fromkeys(item["owner"] for item in wanted["databases"] if item["state"] == "present")
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
    limits: Acl = {**{role: ["CONNECT", "CREATE", "TEMPORARY"] for role in allowed}, master: ["CONNECT"]}
    target: dict[str, Part] = {"database": name(database)}
    statements += acl_changes("", "DATABASE {database}", target, (owner,), acl, allowed, limits)
    for role, path in want["search_path"].items():
        if identifiers(have["search_path"].get(role) or "") != path:
            parts = {"role": name(role), "database": name(database), "path": names(path)}
            why = f"{role} has another search path there"
            statements.append(
                Statement("", "ALTER ROLE {role} IN DATABASE {database} SET search_path = {path}", parts, why)
            )
    acting = {
        role: schema["owner"]
        for schema in want["schemas"]
        for role, preset in schema["grants"].items()
        if preset == "migrator" and schema["state"] == "present"
    }
    for role in sorted(managed | set(acting)):
        parts = {"role": name(role), "database": name(database), "owner": Text(acting.get(role, ""))}
        if have["acting"].get(role) != acting.get(role):
            change = "SET role = {owner}" if role in acting else "RESET role"
            why = f"what {role} makes there is {acting[role]}'s" if role in acting else f"{role} works as itself there"
            statements.append(Statement("", "ALTER ROLE {role} IN DATABASE {database} " + change, parts, why))
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
        if have["extensions"].get(extension) != "installed":
            parts = {"extension": name(extension)}
            why = f"extension {extension} is missing"
            remedies = {"42501": "the server lets only superusers make it; ask whoever runs it, or leave it out"}
            template = "CREATE EXTENSION {extension} SCHEMA public"
            statements.append(Statement(database, template, parts, why, (owner,), remedies=remedies))
    for schema in want["schemas"]:
        found = have["schemas"].get(schema["name"])
        if schema["state"] == "present":
            statements += _schema(have, database, owner, schema, managed)
        elif found:
            holder = owner if found["owner"] == "pg_database_owner" else found["owner"]
            statements.append(drop_schema(database, schema["name"], holder))
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

    acl = dict(found["acl"]) if found else {}
    if found and found["owner"] != owner:
        # With a new owner, PostgreSQL moves the old one's rights to it.
        acl.pop(found["owner"], None)
    statements += acl_changes(database, "SCHEMA {schema}", parts, (owner,), acl, allowed("schema"))
    statements += handed_over(database, have, schema, owner)
    relations: list[Relation] = [
        # As with those on the schema.
        {**relation, "acl": {role: held for role, held in relation["acl"].items() if role != relation["owner"]}}
        for relation in have["relations"]
        if relation["schema"] == schema
    ]
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
    for default in have["defaults"]:
        if default["schema"] == schema and default["owner"] in managed - {owner}:
            former: dict[str, Part] = {"schema": name(schema), "owner": name(default["owner"])}
            statements += acl_changes(
                database,
                f"{default['kind'].upper()}S",
                former,
                (default["owner"],),
                default["acl"],
                {role: [] for role in default["acl"]},
                before="ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} ",
            )
    return statements
