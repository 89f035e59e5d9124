# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what a PostgreSQL server has: two queries for the server, four for a database (two for its indexes). What is to
be dropped takes a few more, as long as it is there.

What is readable without being a superuser is enough: everything but passwords.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence, Tuple

from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_indexes import index_lists
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_plan import fresh_database
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_types import (
    Acl,
    Current,
    Database,
    DatabaseWanted,
    Default,
    Index,
    Relation,
    Role,
    Schema,
    Table,
    Thing,
    Tied,
    Wanted,
)

# query(database, sql, values) -> rows; database "" is the one logged in to.
Query = Callable[[str, str, Sequence[Any]], Sequence[Tuple[Any, ...]]]

# An access list as [[role, privilege], ...]; one that was never touched is empty in the catalog and means its default.
_ACL = """
    (SELECT coalesce(json_agg(json_build_array(CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
                                               a.privilege_type)), '[]')
       FROM aclexplode({acl}) a)
"""

_ROLES = """
SELECT r.rolname::text, r.rolcanlogin, r.rolconnlimit, r.rolsuper, r.oid = me.oid,
       pg_has_role(me.oid, r.oid, 'USAGE') AND pg_has_role(me.oid, r.oid, '{member}'),
       (SELECT to_json(m) FROM pg_auth_members m WHERE m.roleid = r.oid AND m.member = me.oid AND m.grantor = me.oid),
       (SELECT coalesce(json_object_agg(g.member, g.entire), '{}')
          FROM (SELECT pg_get_userbyid(m.member) AS member,
                       bool_or(coalesce((to_json(m)->>'set_option')::bool, true)
                               AND coalesce((to_json(m)->>'inherit_option')::bool, true)) AS entire
                  FROM pg_auth_members m
                 WHERE m.roleid = r.oid AND m.member <> me.oid
                 GROUP BY 1) g)
  FROM pg_roles r, (SELECT oid FROM pg_roles WHERE rolname = current_user) me
 WHERE NOT starts_with(r.rolname, 'pg_')
 ORDER BY r.rolname
"""

_DATABASES = f"""
SELECT d.datname::text, pg_get_userbyid(d.datdba)::text,
       {_ACL.format(acl="coalesce(d.datacl, acldefault('d', d.datdba))")},
       (SELECT coalesce(json_agg(json_build_array(pg_get_userbyid(s.setrole), split_part(c, '=', 1),
                                                  substr(c, strpos(c, '=') + 1))), '[]')
          FROM pg_db_role_setting s, unnest(s.setconfig) c
         WHERE s.setdatabase = d.oid AND s.setrole <> 0)
  FROM pg_database d
 WHERE d.datname = ANY(%s)
"""

_SCHEMAS = f"""
SELECT n.nspname::text, pg_get_userbyid(n.nspowner)::text,
       {_ACL.format(acl="coalesce(n.nspacl, acldefault('n', n.nspowner))")}
  FROM pg_namespace n
 WHERE n.nspname = ANY(%s)
"""

# What belongs to an extension is the extension's own business.
_OF_NO_EXTENSION = """NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{catalog}'::regclass AND d.objid = {oid}
                                                       AND d.deptype = 'e')"""

# Tables (and the like) and sequences; then the functions and types, which have an owner to keep and no preset.
_RELATIONS = f"""
SELECT n.nspname::text, c.relname::text, CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END,
       pg_get_userbyid(c.relowner)::text,
       {_ACL.format(acl="c.relacl")},
       EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND c.relkind = 'S'
                                         AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND {_OF_NO_EXTENSION.format(catalog="pg_class", oid="c.oid")}
UNION ALL
SELECT n.nspname::text, (pg_identify_object('pg_proc'::regclass, p.oid, 0)).identity, 'ROUTINE',
       pg_get_userbyid(p.proowner)::text, '[]', false
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = ANY(%s) AND {_OF_NO_EXTENSION.format(catalog="pg_proc", oid="p.oid")}
UNION ALL
SELECT n.nspname::text, (pg_identify_object('pg_type'::regclass, t.oid, 0)).identity, 'TYPE',
       pg_get_userbyid(t.typowner)::text, '[]', false
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE n.nspname = ANY(%s) AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')
   AND {_OF_NO_EXTENSION.format(catalog="pg_type", oid="t.oid")}
 ORDER BY 1, 2
"""

_DEFAULTS = f"""
SELECT pg_get_userbyid(p.defaclrole)::text, n.nspname::text,
       CASE p.defaclobjtype WHEN 'S' THEN 'sequence' ELSE 'table' END,
       {_ACL.format(acl="p.defaclacl")}
  FROM pg_default_acl p JOIN pg_namespace n ON n.oid = p.defaclnamespace
 WHERE n.nspname = ANY(%s) AND p.defaclobjtype IN ('r', 'S')
"""

# A cloud makes some extensions for its masters that elsewhere only a superuser may make, and has a list of them.
_EXTENSIONS = """
SELECT e.name::text,
       CASE WHEN e.installed_version IS NOT NULL THEN 'installed'
            WHEN NOT e.name = ANY(cloud.allowed) THEN 'not allowed'
            WHEN v.superuser AND NOT v.trusted AND NOT me.rolsuper AND cloud.allowed IS NULL AND NOT cloud.master
            THEN 'superuser' ELSE 'offered' END
  FROM pg_available_extensions e
  JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) me,
       (SELECT string_to_array(replace(nullif(nullif(s.setting, ''), '*'), ' ', ''), ',') AS allowed,
               EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_superuser' AND pg_has_role(oid, 'MEMBER')) AS master
          FROM current_setting('rds.allowed_extensions', true) s(setting)) cloud
 WHERE e.name = ANY(%s)
"""

_TABLES = """
SELECT n.nspname::text, c.relname::text, pg_get_userbyid(c.relowner)::text, pg_get_userbyid(n.nspowner)::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(%s::text[], %s::text[])) AND c.relkind IN ('r', 'p', 'm')
"""

_INDEXES = """
SELECT n.nspname::text, c.relname::text, t.relname::text, m.amname::text, pg_get_indexdef(i.indexrelid),
       i.indisunique, coalesce(pg_get_expr(i.indpred, i.indrelid), ''), i.indisvalid AND i.indisready,
       EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid),
       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_am m ON m.oid = c.relam
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
"""

_SESSIONS = """
SELECT usename::text, datname::text, count(*)::int
  FROM pg_stat_activity
 WHERE usename IS NOT NULL AND (usename = ANY(%s) OR datname = ANY(%s))
   AND application_name <> 'minato.fleet.postgres_schema'
 GROUP BY 1, 2 ORDER BY 1, 2
"""

# What a role has in the database logged in to and on the whole server, where PostgreSQL can tell what it is; elsewhere.
_TIES = """
SELECT r.rolname::text, s.deptype = 'o', coalesce(d.datname, '')::text, coalesce(i.type, ''),
       coalesce(n.nspname, i.schema, '')::text, coalesce(pg_get_userbyid(a.defaclrole), i.name, '')::text,
       coalesce(pg_describe_object(o.classid, o.objid, o.objsubid), 'something')
  FROM pg_shdepend s
  JOIN pg_roles r ON s.refclassid = 'pg_authid'::regclass AND r.oid = s.refobjid AND r.rolname = ANY(%s)
  LEFT JOIN pg_database d ON d.oid = s.dbid
  LEFT JOIN LATERAL (SELECT s.classid, s.objid, s.objsubid WHERE s.dbid = 0 OR d.datname = current_database()) o ON true
  LEFT JOIN LATERAL pg_identify_object(o.classid, o.objid, o.objsubid) i ON true
  LEFT JOIN pg_default_acl a ON o.classid = 'pg_default_acl'::regclass AND a.oid = o.objid
  LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace
 WHERE {where}
 ORDER BY 1, 3, 7
"""

_ROWS = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (%s OR n.nspname = ANY(%s))
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 2, 3
"""

# Views, foreign keys, defaults, triggers and columns of other schemas: what DROP SCHEMA CASCADE would take along.
_LEANING = """
WITH inside AS (
  SELECT 'pg_class'::regclass AS classid, oid, relnamespace AS schema FROM pg_class
  UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type
  UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc)
SELECT DISTINCT n.nspname::text, pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_depend d
  JOIN inside i ON i.classid = d.refclassid AND i.oid = d.refobjid
  JOIN pg_namespace n ON n.oid = i.schema AND n.nspname = ANY(%s)
  LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
  LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
  LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
  LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
  LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
  LEFT JOIN pg_class c ON c.oid = coalesce(w.ev_class, k.conrelid, a.adrelid, g.tgrelid,
                                           CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid END)
 WHERE d.deptype IN ('n', 'a') AND coalesce(c.relnamespace, p.pronamespace, n.oid) <> n.oid
 ORDER BY 1, 2
"""


def read(query: Query, version: int, wanted: Wanted, indexes: bool) -> Current:
    """The state of all that is wanted; `indexes`: of the indexes only, else of everything else."""
    roles: dict[str, Role] = {}
    master, superuser = "", False
    member = "SET" if version >= 160000 else "MEMBER"
    for name, login, limit, is_super, is_master, usable, grant, members in query(
        "", _ROLES.replace("{member}", member), ()
    ):
        if is_master:
            master, superuser = name, is_super
        options = {
            "admin": bool(grant and grant["admin_option"]),
            "inherit": bool(grant and grant.get("inherit_option", True)),
            "set": bool(grant and grant.get("set_option", True)),
        }
        roles[name] = Role(
            login=login,
            connection_limit=limit,
            usable=usable,
            own_grant=options if grant else None,
            members=members,
            password_right=None,
        )
    current = Current(
        version=version,
        master=master,
        superuser=superuser,
        roles=roles,
        databases={},
        extensions={},
        sessions=[],
        ties=[],
        dumps={},
    )
    listed = {database["name"]: database for database in wanted["databases"]}
    for name, owner, acl, settings in query("", _DATABASES, (list(listed),)) if listed else ():
        database = current["databases"][name] = fresh_database(owner)
        database["acl"] = _acl(acl)
        database["search_path"] = {role: value for role, setting, value in settings if setting == "search_path"}
        database["acting"] = {role: value for role, setting, value in settings if setting == "role"}
        database["schemas"] = {}
        if listed[name]["state"] == "present":
            (_read_indexes if indexes else _read_objects)(query, database, listed[name])
    if not indexes:
        to_make = [item for item in listed.values() if item["name"] not in current["databases"]]
        extensions = sorted({extension for item in to_make for extension in item["extensions"]})
        if extensions:
            current["extensions"] = dict(query("", _EXTENSIONS, (extensions,)))
        _read_doomed(query, current, wanted)
    return current


def _read_doomed(query: Query, current: Current, wanted: Wanted) -> None:
    """What stands in the way of dropping what is to be dropped and still there."""
    present = [item for item in wanted["databases"] if item["name"] in current["databases"]]
    databases = [item["name"] for item in present if item["state"] == "absent"]
    for item in present:
        database = current["databases"][item["name"]]
        whole = item["state"] == "absent"
        schemas = [schema["name"] for schema in item["schemas"] if schema["state"] == "absent"]
        schemas = [schema for schema in schemas if schema in database["schemas"]]
        if whole or schemas:
            database["rows"] = [
                (int(oid), schema, table) for oid, schema, table in query(item["name"], _ROWS, (whole, schemas))
            ]
        if schemas:
            for schema, user in query(item["name"], _LEANING, (schemas,)):
                database["leaned_on"].setdefault(schema, []).append(user)
    roles = [role["name"] for role in wanted["roles"] if role["state"] == "absent" and role["name"] in current["roles"]]
    if roles or databases:
        current["sessions"] = [
            {"user": user, "database": database, "number": number}
            for user, database, number in query("", _SESSIONS, (roles, databases))
        ]
    if roles:
        known = [item["name"] for item in present if item["state"] == "present"]
        ties = list(query("", _TIES.format(where="d.datname IS NULL OR NOT d.datname = ANY(%s)"), (roles, known)))
        for name in known:
            ties += query(name, _TIES.format(where="d.datname = current_database()"), (roles,))
        current["ties"] = [
            Tied(role=role, owns=owns, database=database, type=kind, schema=schema, name=name, text=text)
            for role, owns, database, kind, schema, name, text in ties
        ]


def _read_objects(query: Query, database: Database, wanted: DatabaseWanted) -> None:
    name = wanted["name"]
    schemas = [schema["name"] for schema in wanted["schemas"]]
    for schema, owner, acl in query(name, _SCHEMAS, ([*schemas, "public"],)):
        database["schemas"][schema] = Schema(owner=owner, acl=_acl(acl))
    for schema, what, kind, owner, acl, linked in query(name, _RELATIONS, (schemas, schemas, schemas)):
        if kind in ("table", "sequence"):
            database["relations"].append(
                Relation(schema=schema, name=what, kind=kind, owner=owner, acl=_acl(acl), linked=linked)
            )
        else:
            database["things"].append(Thing(schema=schema, identity=what, kind=kind, owner=owner))
    database["defaults"] = [
        Default(owner=owner, schema=schema, kind=kind, acl=_acl(acl))
        for owner, schema, kind, acl in query(name, _DEFAULTS, (schemas,))
    ]
    if wanted["extensions"]:
        database["extensions"] = dict(query(name, _EXTENSIONS, (wanted["extensions"],)))


def _read_indexes(query: Query, database: Database, wanted: DatabaseWanted) -> None:
    if not wanted["indexes"]:
        return
    name, schemas = wanted["name"], [index["schema"] for index in wanted["indexes"]]
    database["tables"] = [
        Table(schema=schema, name=table, owner=owner, schema_owner=schema_owner)
        for schema, table, owner, schema_owner in query(
            name, _TABLES, (schemas, [index["table"] for index in wanted["indexes"]])
        )
    ]
    for schema, index, table, method, definition, unique, where, valid, building, constraint in query(
        name, _INDEXES, (schemas, [index["name"] for index in wanted["indexes"]])
    ):
        columns, include = index_lists(definition)
        database["indexes"].append(
            Index(
                schema=schema,
                name=index,
                table=table,
                method=method,
                columns=columns,
                include=include,
                unique=unique,
                where=where,
                valid=valid,
                building=building,
                constraint=constraint,
            )
        )


def _acl(pairs: Sequence[Sequence[str]]) -> Acl:
    acl: Acl = {}
    for role, privilege in pairs:
        acl.setdefault(role, []).append(privilege)
    return acl
