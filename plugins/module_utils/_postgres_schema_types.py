# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shapes of what a PostgreSQL server has and of what it should have.

Access lists are {role: [privilege, ...]}, with "" for PUBLIC.
"""

from __future__ import annotations

from typing import Any, Dict, List, TypedDict

Acl = Dict[str, List[str]]


class Role(TypedDict):
    """`usable`: the master already acts with this role's rights. `password_right`: None where it was not tried.
    `own_grant`: the membership that the master gave to itself, {admin, inherit, set}, or None. `members`: who else is a
    member of it, and whether with all of its rights."""

    login: bool
    connection_limit: int
    usable: bool
    own_grant: dict[str, bool] | None
    members: dict[str, bool]
    password_right: bool | None


class Schema(TypedDict):
    owner: str
    acl: Acl


class Relation(TypedDict):
    """A table (or view) or a sequence; `kind` is table or sequence. `linked`: it belongs to a column, and goes with its
    table to another owner."""

    schema: str
    name: str
    kind: str
    owner: str
    acl: Acl
    linked: bool


class Thing(TypedDict):
    """A function or a type. `kind` is ROUTINE or TYPE, `identity` its name as SQL, with the arguments of a function."""

    schema: str
    identity: str
    kind: str
    owner: str


class Default(TypedDict):
    """Default privileges of what `owner` will make in `schema`."""

    owner: str
    schema: str
    kind: str
    acl: Acl


class Table(TypedDict):
    schema: str
    name: str
    owner: str
    schema_owner: str


class Index(TypedDict):
    """`columns`, `include` and `where` in PostgreSQL's spelling, "" for no predicate; `building`: a session is at it;
    `constraint`: it is what a constraint is made of."""

    schema: str
    name: str
    table: str
    method: str
    columns: list[str]
    include: list[str]
    unique: bool
    where: str
    valid: bool
    building: bool
    constraint: bool


class Tied(TypedDict):
    """What keeps a role from being dropped: it owns something, or has a right on it, in `database` ("" for what
    belongs to the whole server). `type`, `schema` and `name` are PostgreSQL's; those of default privileges are their
    schema and the role that they are of."""

    role: str
    owns: bool
    database: str
    type: str
    schema: str
    name: str
    text: str


class Dump(TypedDict):
    """What a file has in it; `problem` says why it is no dump. `tables`: oid of each table whose rows it has."""

    problem: str
    database: str
    made: float
    tables: list[int]


class Database(TypedDict):
    owner: str
    acl: Acl
    search_path: dict[str, str]
    acting: dict[str, str]  # the role that another one works as, from its login on
    schemas: dict[str, Schema]
    relations: list[Relation]
    things: list[Thing]
    defaults: list[Default]
    extensions: dict[str, str]  # wanted ones that the server has: installed, offered, superuser or not allowed
    tables: list[Table]
    indexes: list[Index]
    rows: list[tuple[int, str, str]]  # oid, schema and name of each table that is to be dropped
    leaned_on: dict[str, list[str]]  # what outside of a schema that is to be dropped needs something inside


class Current(TypedDict):
    """`version` as the server counts it: 150013 is 15.13. `extensions` are for databases that are still to be made; the
    last three for what is to be dropped; `sessions` are {user, database, number}."""

    version: int
    master: str
    superuser: bool
    roles: dict[str, Role]
    databases: dict[str, Database]
    extensions: dict[str, str]
    sessions: list[dict[str, Any]]
    ties: list[Tied]
    dumps: dict[str, Dump]


class RoleWanted(TypedDict):
    name: str
    state: str
    password: str | None
    login: bool
    connection_limit: int


class SchemaWanted(TypedDict):
    name: str
    state: str
    dump: str | None
    owner: str
    grants: dict[str, str]


class IndexWanted(TypedDict):
    name: str
    state: str
    schema: str
    table: str
    method: str
    columns: list[str]
    include: list[str]
    unique: bool
    where: str


class DatabaseWanted(TypedDict):
    name: str
    state: str
    dump: str | None
    owner: str
    connect: list[str]
    extensions: list[str]
    schemas: list[SchemaWanted]
    search_path: dict[str, list[str]]
    indexes: list[IndexWanted]


class Wanted(TypedDict):
    """`confirm_drop`: what may be dropped, as "database shop", "schema shop.sales", "role app" or
    "index shop.sales.open". `dump_max_age` is in seconds."""

    roles: list[RoleWanted]
    databases: list[DatabaseWanted]
    confirm_drop: list[str]
    dump_max_age: int
