# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what a PostgreSQL server has: two queries for the server, four for a database (two for its indexes).

What is readable without being a superuser is enough: everything but passwords.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence, Tuple

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
       (SELECT to_json(m) FROM pg_auth_members m WHERE m.roleid = r.oid AND m.member = me.oid AND m.grantor = me.oid)
  FROM pg_roles r, (SELECT oid FROM pg_roles WHERE rolname = current_user) me
 WHERE NOT starts_with(r.rolname, 'pg_')
 ORDER BY r.rolname
"""

_DATABASES = f"""
SELECT d.datname::text, pg_get_userbyid(d.datdba)::text,
       {_ACL.format(acl="coalesce(d.datacl, acldefault('d', d.datdba))")},
       (SELECT coalesce(json_object_agg(pg_get_userbyid(s.setrole), substr(c, length('search_path=') + 1)), '{{}}')
          FROM pg_db_role_setting s, unnest(s.setconfig) c
         WHERE s.setdatabase = d.oid AND s.setrole <> 0 AND starts_with(c, 'search_path='))
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
_RELATIONS = f"""
SELECT n.nspname::text, c.relname::text, CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END,
       pg_get_userbyid(c.relowner)::text,
       {_ACL.format(acl="c.relacl")}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
"""

_DEFAULTS = f"""
SELECT pg_get_userbyid(p.defaclrole)::text, n.nspname::text,
       CASE p.defaclobjtype WHEN 'S' THEN 'sequence' ELSE 'table' END,
       {_ACL.format(acl="p.defaclacl")}
  FROM pg_default_acl p JOIN pg_namespace n ON n.oid = p.defaclnamespace
 WHERE n.nspname = ANY(%s) AND p.defaclobjtype IN ('r', 'S')
"""

_EXTENSIONS = """
SELECT name::text, installed_version IS NOT NULL FROM pg_available_extensions WHERE name = ANY(%s)
"""

_TABLES = """
SELECT n.nspname::text, c.relname::text, pg_get_userbyid(c.relowner)::text, pg_get_userbyid(n.nspowner)::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(%s::text[], %s::text[])) AND c.relkind IN ('r', 'p', 'm')
"""

_INDEXES = """
SELECT n.nspname::text, c.relname::text, t.relname::text,
       (SELECT json_agg(pg_get_indexdef(i.indexrelid, k, true) ORDER BY k) FROM generate_series(1, i.indnkeyatts) k),
       i.indisunique, coalesce(pg_get_expr(i.indpred, i.indrelid), ''), i.indisvalid AND i.indisready,
       EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
"""


def read(query: Query, version: int, wanted: Wanted, indexes: bool) -> Current:
    """The state of all that is wanted; `indexes`: of the indexes only, else of everything else."""
    roles: dict[str, Role] = {}
    master, superuser = "", False
    member = "SET" if version >= 160000 else "MEMBER"
    for name, login, limit, is_super, is_master, usable, grant in query("", _ROLES.replace("{member}", member), ()):
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
            password_right=None,
        )
    databases: dict[str, Database] = {}
    listed = {database["name"]: database for database in wanted["databases"]}
    for name, owner, acl, search_path in query("", _DATABASES, (list(listed),)) if listed else ():
        database = databases[name] = fresh_database(owner)
        database["acl"] = _acl(acl)
        database["search_path"] = search_path
        database["schemas"] = {}
        (_read_indexes if indexes else _read_objects)(query, database, listed[name])
    return Current(version=version, master=master, superuser=superuser, roles=roles, databases=databases)


def _read_objects(query: Query, database: Database, wanted: DatabaseWanted) -> None:
    name = wanted["name"]
    schemas = [schema["name"] for schema in wanted["schemas"]]
    for schema, owner, acl in query(name, _SCHEMAS, ([*schemas, "public"],)):
        database["schemas"][schema] = Schema(owner=owner, acl=_acl(acl))
    database["relations"] = [
        Relation(schema=schema, name=relation, kind=kind, owner=owner, acl=_acl(acl))
        for schema, relation, kind, owner, acl in query(name, _RELATIONS, (schemas,))
    ]
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
    database["indexes"] = [
        Index(
            schema=schema,
            name=index,
            table=table,
            columns=columns,
            unique=unique,
            where=where,
            valid=valid,
            building=building,
        )
        for schema, index, table, columns, unique, where, valid, building in query(
            name, _INDEXES, (schemas, [index["name"] for index in wanted["indexes"]])
        )
    ]


def _acl(pairs: Sequence[Sequence[str]]) -> Acl:
    acl: Acl = {}
    for role, privilege in pairs:
        acl.setdefault(role, []).append(privilege)
    return acl
