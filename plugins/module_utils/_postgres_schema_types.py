# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shapes of what a PostgreSQL server has and of what it should have.

Access lists are {role: [privilege, ...]}, with "" for PUBLIC.
"""

from __future__ import annotations

from typing import Dict, List, TypedDict

Acl = Dict[str, List[str]]


class Role(TypedDict):
    """`usable`: the master already acts with this role's rights. `password_right`: None where it was not tried.
    `own_grant`: the membership that the master gave to itself, {admin, inherit, set}, or None."""

    login: bool
    connection_limit: int
    usable: bool
    own_grant: dict[str, bool] | None
    password_right: bool | None


class Schema(TypedDict):
    owner: str
    acl: Acl


class Relation(TypedDict):
    """A table (or view) or a sequence; `kind` is table or sequence."""

    schema: str
    name: str
    kind: str
    owner: str
    acl: Acl


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
    """`columns` in PostgreSQL's spelling; `where` likewise, "" for none; `building`: a session is at it now."""

    schema: str
    name: str
    table: str
    columns: list[str]
    unique: bool
    where: str
    valid: bool
    building: bool


class Database(TypedDict):
    owner: str
    acl: Acl
    search_path: dict[str, str]
    schemas: dict[str, Schema]
    relations: list[Relation]
    defaults: list[Default]
    extensions: dict[str, bool]  # wanted ones that the server offers: installed or not
    tables: list[Table]
    indexes: list[Index]


class Current(TypedDict):
    """`version` as the server counts it: 150013 is 15.13."""

    version: int
    master: str
    superuser: bool
    roles: dict[str, Role]
    databases: dict[str, Database]


class RoleWanted(TypedDict):
    name: str
    password: str | None
    login: bool
    connection_limit: int


class SchemaWanted(TypedDict):
    name: str
    owner: str
    grants: dict[str, str]


class IndexWanted(TypedDict):
    name: str
    schema: str
    table: str
    columns: list[str]
    unique: bool
    where: str


class DatabaseWanted(TypedDict):
    name: str
    owner: str
    connect: list[str]
    extensions: list[str]
    schemas: list[SchemaWanted]
    search_path: dict[str, list[str]]
    indexes: list[IndexWanted]


class Wanted(TypedDict):
    roles: list[RoleWanted]
    databases: list[DatabaseWanted]
