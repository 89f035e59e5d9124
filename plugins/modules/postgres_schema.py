#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles, databases, schemas, rights and indexes of a PostgreSQL server, in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_schema
short_description: Keep roles, databases, schemas, rights and indexes of a PostgreSQL server as described
version_added: "0.1.0"
author:
  - The minato.fleet maintainers (@minato-fleet)
description:
  - Looks at the server with a handful of catalog queries, works out the statements that lead from what is there to what
    is wanted, and runs them. Check mode, diff, C(changed) and the change come from that one list.
  - Made for managed servers (Amazon RDS, Lightsail). The login user needs C(CREATEROLE) and C(CREATEDB), not superuser.
    To make or change what belongs to another role it grants itself that role, and revokes it in the same transaction;
    for indexes, which cannot be made in one, the grant has a form by which the next run finds it, should this one be
    killed.
  - Whoever is declared in O(roles) holds on the databases and schemas in O(databases) exactly what is declared there.
    Roles, databases, schemas and rights that are not named are left alone.
  - What has the state V(absent) is dropped, if O(confirm_drop) names it as well. For a database or a schema there has
    to be a fresh dump, too, with the rows of all of its tables; a role must own nothing and have no rights but those
    described. Otherwise each reason is told in one sentence, and nothing is changed.
  - Driver, login parameters and the server's version come from the code of the collection C(community.postgresql). Its
    modules are not called, as each takes a connection and a round trip for every single object.
  - Needs PostgreSQL 15 or later.
requirements:
  - psycopg2 >= 2.8 or psycopg >= 3.1 on the host that runs the module
  - pg_restore there, of the dump's version or later, to drop a database or a schema
options:
  login_host:
    description:
      - Name of the server. With O(ssl_mode=verify-full) its certificate must carry it.
    type: str
    required: true
  login_port:
    description:
      - Port of the server.
    type: int
    default: 5432
  login_user:
    description:
      - The master user.
    type: str
    required: true
  login_password:
    description:
      - The master user's password.
    type: str
    required: true
  login_db:
    description:
      - Database to log in to for what concerns the whole server.
    type: str
    default: postgres
  ssl_mode:
    description:
      - How much of TLS is asked for, as in libpq. Less than V(verify-full) lets anybody on the way play the server.
    type: str
    choices: [disable, require, verify-ca, verify-full]
    default: verify-full
  ca_cert:
    description:
      - File with the certificates that the server's must be signed by. Without it, libpq's own default is used.
    type: path
  scope:
    description:
      - V(objects) is everything but indexes. V(indexes) is the indexes alone, as their tables are made by migrations,
        which run between the two.
    type: str
    choices: [objects, indexes]
    default: objects
  roles:
    description:
      - Roles that can be granted something.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the role.
        type: str
        required: true
      password:
        description:
          - Its password. As nobody but a superuser can read what is stored, it is checked by logging in with it, and
            set if that fails. It is sent as a SCRAM verifier made on this host, never in clear.
          - Without it the password is left alone.
        type: str
      login:
        description:
          - Whether it can log in.
        type: bool
        default: true
      connection_limit:
        description:
          - How many connections it may hold at a time; V(-1) is any number.
        type: int
        default: -1
      state:
        description:
          - V(absent) drops it. One that owns something is refused, with the list of it.
        type: str
        choices: [present, absent]
        default: present
  databases:
    description:
      - Databases and what is in them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the database. A missing one is made in UTF-8.
        type: str
        required: true
      state:
        description:
          - V(absent) drops it, after a dump; the rest of its entry then says nothing. One in use is refused.
        type: str
        choices: [present, absent]
        default: present
      dump:
        description:
          - File, on the host that runs the module, with a dump of it that C(pg_restore) can read. Needed to drop it.
        type: path
      owner:
        description:
          - Role that owns it. A missing one is made, without login.
        type: str
        required: true
      connect:
        description:
          - Roles that may connect. C(CONNECT) and C(TEMPORARY) are taken from C(PUBLIC).
        type: list
        elements: str
        default: []
      extensions:
        description:
          - Extensions to have, in the schema C(public). One that the master may not make is refused.
        type: list
        elements: str
        default: []
      schemas:
        description:
          - Schemas. C(CREATE) on C(public) is taken from C(PUBLIC).
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description:
              - Name of the schema.
            type: str
            required: true
          state:
            description:
              - V(absent) drops it with all that is in it, after a dump. One that other schemas need is refused.
            type: str
            choices: [present, absent]
            default: present
          dump:
            description:
              - File, on the host that runs the module, with a dump of the database that C(pg_restore) can read. Needed
                to drop the schema.
            type: path
          owner:
            description:
              - Role that owns the schema and all that is in it; what others made there is handed over to it. What it
                will make is granted in advance.
              - Needed, unless somebody is granted V(owner).
            type: str
          grants:
            description:
              - What roles may do with all tables and sequences there, present and future, as C(role) to preset.
              - V(owner) is another way to write O(databases[].schemas[].owner).
              - A V(migrator) is a member of the owner and works as it from its login on, in the whole database; so what
                it makes is the owner's.
              - V(read_write) is select, insert, update, delete and the use of sequences, V(read_only) is select.
            type: dict
            default: {}
      search_path:
        description:
          - Schemas that a role finds without naming them, as C(role) to list.
        type: dict
        default: {}
      indexes:
        description:
          - Indexes, made with C(CONCURRENTLY). An invalid one, left by an interrupted run, is made again. A valid one
            of that name with other columns is an error; it is not replaced. One that cannot be made, because rows have
            the same values, leaves nothing behind.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description:
              - Name of the index.
            type: str
            required: true
          schema:
            description:
              - Schema of the table.
            type: str
            required: true
          table:
            description:
              - Table to index. In check mode a missing one is taken for one that a migration will have made.
            type: str
            required: true
          state:
            description:
              - V(absent) drops it, with C(CONCURRENTLY). One that a constraint is made of is refused.
            type: str
            choices: [present, absent]
            default: present
          method:
            description:
              - Access method.
            type: str
            default: btree
          columns:
            description:
              - Columns, in order. What is more than a name is SQL, taken as it is, such as V(lower(mail)),
                V(made_at DESC) or V(name public.gin_trgm_ops).
            type: list
            elements: str
            required: true
          include:
            description:
              - Further columns that it carries along, so that a query needs not look at the table.
            type: list
            elements: str
            default: []
          unique:
            description:
              - Whether no two rows may have the same values there.
            type: bool
            default: false
          where:
            description:
              - SQL predicate of a partial index, taken as it is. Empty for a whole one.
            type: str
            default: ""
  confirm_drop:
    description:
      - What may be dropped, each as V(database shop), V(schema shop.sales), V(role app) or V(index shop.sales.open).
    type: list
    elements: str
    default: []
  dump_max_age:
    description:
      - How old a dump may be, in seconds, by its own word and by its file's time.
    type: int
    default: 3600
notes:
  - Rights on a schema hold for all its tables alike. A migration that takes a right from a single table is overruled by
    the next run.
  - Without a driver on the host, check mode says what an empty server would need, and warns that it did not look.
  - Runs against one server wait for each other, at most a minute.
attributes:
  check_mode:
    description: Says what would be done, from the same plan.
    support: full
  diff_mode:
    description: Shows the statements, without passwords.
    support: full
"""

EXAMPLES = r"""
- name: Have a database for an app, its migrator and its user
  minato.fleet.postgres_schema:
    login_host: db.medical.test
    login_user: dbmaster
    login_password: "{{ vault_dbmaster }}"
    ca_cert: /usr/local/share/ca-certificates/medical-db.crt
    roles:
      - {name: medical_migrator, password: "{{ vault_medical_migrator }}"}
      - {name: app_user, password: "{{ vault_app_user }}", connection_limit: 50}
    databases: &databases
      - name: medical_system
        owner: medical_system_owner
        connect: [medical_migrator, app_user]
        schemas:
          - {name: medical, owner: medical_migrator, grants: {app_user: read_write}}
        search_path: {medical_migrator: [medical], app_user: [medical]}
        indexes:
          - {name: staff_active, schema: medical, table: staff, columns: [active], where: active = true}

- name: Index the tables once the migrations have made them
  minato.fleet.postgres_schema:
    login_host: db.medical.test
    login_user: dbmaster
    login_password: "{{ vault_dbmaster }}"
    ca_cert: /usr/local/share/ca-certificates/medical-db.crt
    scope: indexes
    databases: *databases

- name: Drop what is not needed any more, after a dump
  minato.fleet.postgres_schema:
    login_host: db.medical.test
    login_user: dbmaster
    login_password: "{{ vault_dbmaster }}"
    ca_cert: /usr/local/share/ca-certificates/medical-db.crt
    roles:
      - {name: old_user, state: absent}
    databases:
      - {name: old_system, owner: old_system_owner, state: absent, dump: /var/backups/old_system.dump}
    confirm_drop: [role old_user, database old_system]
"""

RETURN = r"""
statements:
  description: What was run, or would be in check mode, in order. Passwords are never among it.
  type: list
  elements: dict
  returned: always
  contains:
    database:
      description: Database that it is run in.
      type: str
    sql:
      description: The statement.
      type: str
    why:
      description: What it is needed for.
      type: str
  sample:
    - database: medical_system
      sql: CREATE SCHEMA medical AUTHORIZATION medical_migrator
      why: schema medical is missing
queries:
  description: Number of queries that the first look at the server took.
  type: int
  returned: always
  sample: 6
logins:
  description: Number of connections that it took, one of them for each password.
  type: int
  returned: always
  sample: 4
"""

import os
import sys
from typing import Any, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import HAS_PSYCOPG
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema import (
    Outcome,
    PostgresSchemaError,
    converge,
    predict,
)
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_sql import Statement
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_types import Wanted

STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
ROLE = {
    "name": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
    "login": {"type": "bool", "default": True},
    "connection_limit": {"type": "int", "default": -1},
    "state": STATE,
}
SCHEMA = {
    "name": {"type": "str", "required": True},
    "state": STATE,
    "dump": {"type": "path"},
    "owner": {"type": "str"},
    "grants": {"type": "dict", "default": {}},
}
INDEX = {
    "name": {"type": "str", "required": True},
    "schema": {"type": "str", "required": True},
    "table": {"type": "str", "required": True},
    "state": STATE,
    "method": {"type": "str", "default": "btree"},
    "columns": {"type": "list", "elements": "str", "required": True},
    "include": {"type": "list", "elements": "str", "default": []},
    "unique": {"type": "bool", "default": False},
    "where": {"type": "str", "default": ""},
}
DATABASE = {
    "name": {"type": "str", "required": True},
    "state": STATE,
    "dump": {"type": "path"},
    "owner": {"type": "str", "required": True},
    "connect": {"type": "list", "elements": "str", "default": []},
    "extensions": {"type": "list", "elements": "str", "default": []},
    "schemas": {"type": "list", "elements": "dict", "default": [], "options": SCHEMA},
    "search_path": {"type": "dict", "default": {}},
    "indexes": {"type": "list", "elements": "dict", "default": [], "options": INDEX},
}
ARGUMENTS = {
    "login_host": {"type": "str", "required": True},
    "login_port": {"type": "int", "default": 5432},
    "login_user": {"type": "str", "required": True},
    "login_password": {"type": "str", "required": True, "no_log": True},
    "login_db": {"type": "str", "default": "postgres"},
    "ssl_mode": {
        "type": "str",
        "choices": ["disable", "require", "verify-ca", "verify-full"],
        "default": "verify-full",
    },
    "ca_cert": {"type": "path"},
    "scope": {"type": "str", "choices": ["objects", "indexes"], "default": "objects"},
    "roles": {"type": "list", "elements": "dict", "default": [], "options": ROLE},
    "databases": {"type": "list", "elements": "dict", "default": [], "options": DATABASE},
    "confirm_drop": {"type": "list", "elements": "str", "default": []},
    "dump_max_age": {"type": "int", "default": 3600},
}


def script(statements: list[Statement], login_db: str) -> str:
    """The statements as a person would type them, each with its reason, under the database they belong to."""
    lines: list[str] = []
    database = None
    for statement in statements:
        if statement.database != database:
            database = statement.database
            lines.append(f"-- in database {database or login_db}")
        lines.append(f"{statement.text};  -- {statement.why}")
    return "\n".join(lines) + "\n"


def outcome(module: AnsibleModule) -> Outcome:
    """Do the work; where check mode cannot look at the server, tell what an empty one would need."""
    given = module.params
    login = {
        "host": given["login_host"],
        "port": given["login_port"],
        "user": given["login_user"],
        "password": given["login_password"],
        "database": given["login_db"],
        "ssl_mode": given["ssl_mode"],
        "ca_cert": given["ca_cert"],
    }
    wanted = cast(Wanted, {key: given[key] for key in ("roles", "databases", "confirm_drop", "dump_max_age")})
    for schema in (schema for database in wanted["databases"] for schema in database["schemas"]):
        granted = [role for role, preset in schema["grants"].items() if preset == "owner"]
        schema["owner"] = schema["owner"] or (granted or [""])[0]
    indexes = given["scope"] == "indexes"
    lacking = ""
    if not HAS_PSYCOPG:
        lacking = f"{sys.executable} has no psycopg2 (on Debian and Ubuntu: the package python3-psycopg2)"
    elif given["ca_cert"] and not os.path.exists(given["ca_cert"]):
        lacking = f"The file of the server's authority, {given['ca_cert']}, is missing on this host"
    if not lacking:
        return converge(login, wanted, indexes, module.check_mode)
    if not module.check_mode:
        raise PostgresSchemaError(lacking)
    module.warn(f"The server was not looked at; this is what an empty one would need. {lacking}")
    return predict(login, wanted, indexes)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = outcome(module)
    except PostgresSchemaError as error:
        module.fail_json(msg=str(error))
    for warning in result.warnings:
        module.warn(warning)
    answer: dict[str, Any] = {
        "changed": bool(result.statements),
        "statements": [
            {"database": statement.database or module.params["login_db"], "sql": statement.text, "why": statement.why}
            for statement in result.statements
        ],
        "queries": result.queries,
        "logins": result.logins,
    }
    if result.statements:
        answer["diff"] = {"prepared": script(result.statements, module.params["login_db"])}
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
