# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rights: what a preset allows, which GRANT and REVOKE lead from one access list to another, and whose rights the
master borrows meanwhile. It is no superuser, and from PostgreSQL 16 on not even a member of the roles that it made.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_sql import (
    Names,
    Part,
    Raw,
    Statement,
    name,
    names,
)
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_types import (
    Acl,
    Current,
    Database,
    Relation,
    Wanted,
)

# What a preset allows on each kind of object in a schema. The owner needs no grant, and a migrator works as the owner.
_NOTHING: dict[str, list[str]] = {"schema": [], "table": [], "sequence": []}
PRESETS: dict[str, dict[str, list[str]]] = {
    "owner": _NOTHING,
    "migrator": _NOTHING,
    "read_write": {
        "schema": ["USAGE"],
        "table": ["SELECT", "INSERT", "UPDATE", "DELETE"],
        "sequence": ["USAGE", "SELECT"],
    },
    "read_only": {"schema": ["USAGE"], "table": ["SELECT"], "sequence": ["SELECT"]},
}


def acl_changes(
    database: str,
    target: str,
    parts: dict[str, Part],
    needs: tuple[str, ...],
    have: Acl,
    allowed: Acl,
    limits: Acl | None = None,
    before: str = "",
) -> list[Statement]:
    """The statements that leave each role of `allowed` with exactly these privileges; with `limits`, of those there."""
    statements = []
    for role, privileges in allowed.items():
        held = [held for held in have.get(role, []) if limits is None or held in limits[role]]
        grantee: Part = name(role) if role else Raw("PUBLIC")
        for verb, to, change in (
            ("REVOKE", "FROM", sorted(set(held) - set(privileges))),
            ("GRANT", "TO", [wanted for wanted in privileges if wanted not in held]),
        ):
            if change:
                why = f"{role or 'everybody'} {'lacks it' if verb == 'GRANT' else 'has it'}"
                own: dict[str, Part] = {**parts, "privileges": Raw(", ".join(change)), "role": grantee}
                template = f"{before}{verb} {{privileges}} ON {target} {to} {{role}}"
                statements.append(Statement(database, template, own, why, needs))
    return statements


def relation_changes(
    database: str, owner: str, relations: Sequence[Relation], presets: dict[str, str]
) -> list[Statement]:
    """The same for the tables and sequences of one schema, those that lack the same in one statement.

    `presets` is {role: preset, or "" for nothing}; `owner` is the schema's, and by now theirs.
    """
    groups: dict[tuple[str, str, str, tuple[str, ...]], list[Relation]] = {}
    for relation in relations:
        kind = relation["kind"]
        for role, preset in presets.items():
            wanted = PRESETS[preset][kind] if preset else []
            held = relation["acl"].get(role, [])
            for verb, change in (
                ("REVOKE", sorted(set(held) - set(wanted))),
                ("GRANT", [privilege for privilege in wanted if privilege not in held]),
            ):
                if change:
                    groups.setdefault((verb, kind, role, tuple(change)), []).append(relation)
    statements = []
    for (verb, kind, role, privileges), found in groups.items():
        parts: dict[str, Part] = {
            "privileges": Raw(", ".join(privileges)),
            "relations": Names(tuple((relation["schema"], relation["name"]) for relation in found)),
            "role": name(role),
        }
        template = (
            f"{verb} {{privileges}} ON {kind.upper()} {{relations}} {'TO' if verb == 'GRANT' else 'FROM'} {{role}}"
        )
        why = f"{role} {'lacks it' if verb == 'GRANT' else 'has it'}"
        statements.append(Statement(database, template, parts, why, (owner,)))
    return statements


def handed_over(database: str, have: Database, schema: str, owner: str) -> list[Statement]:
    """To the schema's owner what somebody else made there: migrations can change nothing that they do not own."""
    statements = []
    found: list[tuple[str, Part, str]] = [
        ("TABLE", name(relation["schema"], relation["name"]), relation["owner"])
        for relation in have["relations"]
        if relation["schema"] == schema and not relation["linked"]
    ]
    found += [
        (thing["kind"], Raw(thing["identity"]), thing["owner"]) for thing in have["things"] if thing["schema"] == schema
    ]
    for kind, what, holder in found:
        if holder != owner:
            parts: dict[str, Part] = {"what": what, "owner": name(owner)}
            template = f"ALTER {kind} {{what}} OWNER TO {{owner}}"
            statements.append(Statement(database, template, parts, f"it belongs to {holder}", (holder, owner)))
    return statements


def memberships(current: Current, wanted: Wanted) -> list[Statement]:
    """Migrators become members of the owners that they work as; of no owner is any other declared role a member."""
    statements: list[Statement] = []
    owners: dict[str, list[str]] = {}
    for database in wanted["databases"]:
        owners.setdefault(database["owner"], [])
        for schema in database["schemas"]:
            migrators = [role for role, preset in schema["grants"].items() if preset == "migrator"]
            if "absent" in (database["state"], schema["state"]):
                migrators = []
            owners.setdefault(schema["owner"], []).extend(migrators)
    managed = [role["name"] for role in wanted["roles"] if role["state"] == "present"]
    options = " WITH INHERIT TRUE, SET TRUE" if current["version"] >= 160000 else ""
    for owner, migrators in owners.items():
        have = current["roles"][owner]["members"] if owner in current["roles"] else {}
        for role in dict.fromkeys(migrators):
            if not have.get(role):
                parts: dict[str, Part] = {"owner": name(owner), "role": name(role)}
                why = f"{role} works as {owner}"
                statements.append(Statement("", "GRANT {owner} TO {role}" + options, parts, why))
        for role in managed:
            if role in have and role not in migrators:
                parts = {"owner": name(owner), "role": name(role)}
                why = f"{role} is no migrator of what {owner} owns"
                statements.append(Statement("", "REVOKE {owner} FROM {role}", parts, why))
    return statements


def borrowed(current: Current, statements: list[Statement], lasting: bool = False) -> list[Statement]:
    """The statements, between the loan of the roles that they need and its return.

    In one transaction a loan leaves no trace when the run is killed. A `lasting` one is committed, because what it is
    for cannot run in a transaction; so it has a form that nobody else uses, by which `returned` knows it again.
    """
    if not statements or current["superuser"]:
        return statements
    master = current["master"]
    lent = []
    for role in dict.fromkeys(role for statement in statements for role in statement.needs):
        have = current["roles"].get(role)
        if role != master and not (have and have["usable"] and not _forgotten(current, role)):
            lent.append(role)
    if not lent:
        return statements
    database = statements[0].database
    if current["version"] < 160000:
        options = " WITH ADMIN OPTION" if lasting else ""
    else:
        options = " WITH INHERIT TRUE, SET FALSE" if lasting else " WITH INHERIT TRUE, SET TRUE"
    parts: dict[str, Part] = {"roles": names(lent), "master": name(master)}
    loan = Statement(
        database,
        "GRANT {roles} TO {master}" + options,
        parts,
        "borrowed for the next statements",
        autocommit=lasting,
        remedies={
            "42501": f"{master} may not act for {' and '.join(lent)}, which somebody else made; "
            f"have that one grant it the role WITH ADMIN OPTION, or give what it owns to another role"
        },
    )
    back = Statement(database, "REVOKE {roles} FROM {master}", parts, "given back", autocommit=lasting)
    before = [_own(current, role, database, lasting) for role in lent]
    return [loan, *statements, back, *(statement for statement in before if statement)]


def returned(current: Current) -> list[Statement]:
    """The return of what a run that was killed had borrowed."""
    roles = [role for role in current["roles"] if _forgotten(current, role)]
    if not roles:
        return []
    parts: dict[str, Part] = {"roles": names(roles), "master": name(current["master"])}
    return [Statement("", "REVOKE {roles} FROM {master}", parts, "borrowed by a run that did not end")]


def _forgotten(current: Current, role: str) -> bool:
    grant = current["roles"][role]["own_grant"]
    if not grant:
        return False
    if current["version"] < 160000:
        return grant["admin"]
    return grant["inherit"] and not grant["set"] and not grant["admin"]


def _own(current: Current, role: str, database: str, lasting: bool) -> Statement | None:
    """A membership that the master had given itself before and that the loan replaced: put it back."""
    have = current["roles"].get(role)
    grant = have["own_grant"] if have else None
    if not grant or _forgotten(current, role):
        return None
    options = ", ".join(
        f"{option.upper()} {'TRUE' if grant[option] else 'FALSE'}" for option in ("admin", "inherit", "set")
    )
    parts: dict[str, Part] = {"role": name(role), "master": name(current["master"])}
    template = "GRANT {role} TO {master}" + (f" WITH {options}" if current["version"] >= 160000 else "")
    return Statement(database, template, parts, "as it was before", autocommit=lasting)
