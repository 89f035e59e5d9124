# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract's rules about what hosts and apps share: domains, generated secrets, database servers."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.minato.fleet.plugins.plugin_utils import capacity, catalog
from ansible_collections.minato.fleet.plugins.plugin_utils.catalog import App
from ansible_collections.minato.fleet.plugins.plugin_utils.contract_fleet import Fleet, Host, Rule

RESERVED_DATABASES = ("postgres", "template0", "template1", "rdsadmin")
RESERVED_SCHEMAS = ("public", "information_schema")


def domains(fleet: Fleet) -> Iterator[str]:
    """A host name leads to one place: two hosts answer to it only where both run the same apps behind it."""
    first: dict[str, tuple[Host, set[str]]] = {}
    for host in fleet.hosts:
        behind: dict[str, set[str]] = {}
        for app in fleet.answered_by(host):
            for route in app["routes"]:
                behind.setdefault(route["host"], set()).add(app["name"])
        for domain, apps in behind.items():
            other, others = first.setdefault(domain, (host, apps))
            if apps != others:
                yield (
                    f"{domain}: {_and(others)} answers to it on {other.name}, and {_and(apps)} on {host.name},"
                    " but a name leads to one place. Run these apps on the same hosts, let one host forward"
                    " the other's requests (fleet_forwards), or give one of the apps another name."
                )


def _and(names: set[str]) -> str:
    return " and ".join(sorted(names))


def maintenance(fleet: Fleet) -> Iterator[str]:
    named = dict.fromkeys(name for host in fleet.hosts for name in host.maintenance)
    for name in named:
        if name not in fleet.by_name:
            yield f"fleet_maintenance_apps: {catalog.unknown_app(name, fleet.by_name)}"


def generated_secrets(fleet: Fleet) -> Iterator[str]:
    for app in fleet.used:
        hosts = [host.name for host in fleet.hosts_of(app)]
        if app["generated_secrets"] and len(hosts) > 1:
            name = app["generated_secrets"][0]
            yield (
                f"{app['name']}: generated_secrets: {', '.join(hosts)} would each make a {name} of its own."
                f" Move it to `secrets`, and give it a value in fleet_secrets.{app['name']}.{name}."
            )


def reserved_database_names(fleet: Fleet) -> Iterator[str]:
    for app in _database_apps(fleet):
        database = app["database"]
        if database["name"] in RESERVED_DATABASES:
            yield f"{app['name']}: database.name: {database['name']} is PostgreSQL's own. Write a name of the app's."
        for key, schema in _own_schemas(app):
            if schema in RESERVED_SCHEMAS or schema.startswith("pg_"):
                yield f"{app['name']}: database.{key}: {schema} is PostgreSQL's own. Write a name of the app's."
        master = (fleet.databases.get(database["server"]) or {}).get("admin_user")
        for key in ("user", "migrator"):
            if database[key] == master:
                yield (
                    f"{app['name']}: database.{key}: {master} is the master user of {database['server']}."
                    " Write a user of the app's own."
                )


def schema_owners(fleet: Fleet) -> Iterator[str]:
    """A schema that two apps share has one owner."""
    first: dict[tuple[str, ...], App] = {}
    for app in _database_apps(fleet):
        database = app["database"]
        for _key, schema in _own_schemas(app):
            place = (database["server"], database["name"], schema)
            other = first.setdefault(place, app)
            if database["migrator"] != other["database"]["migrator"]:
                yield (
                    f"{app['name']}: database.migrator: the schema {place[2]} of {place[1]} is owned by"
                    f" {other['database']['migrator']} of {other['name']}. Write the same,"
                    " or give the app a schema of its own."
                )
    for app in _database_apps(fleet):
        database = app["database"]
        for schema in database["shared_schemas"]:
            owner = first.get((database["server"], database["name"], schema))
            if owner is None:
                yield (
                    f"{app['name']}: database.shared_schemas: no app that runs owns the schema {schema} of"
                    f" {database['name']}. Write it under database.schemas of the app whose migrations make its tables."
                )
            elif owner is app:
                yield f"{app['name']}: database.shared_schemas: {schema} is the app's own. Take it out."


def _own_schemas(app: App) -> list[tuple[str, str]]:
    """The schemas that an app's migrator owns, with the key that says so."""
    database = app["database"]
    return [("schema", database["schema"]), *(("schemas", schema) for schema in database["schemas"])]


def user_passwords(fleet: Fleet) -> Iterator[str]:
    """A database user that two apps name has one password."""
    first: dict[tuple[str, str], tuple[str, str, str]] = {}
    for app in _database_apps(fleet):
        database, values = app["database"], fleet.secrets.get(app["name"]) or {}
        for role in ("user", "migrator"):
            user, key = database[role], database["password" if role == "user" else "migrator_password"]
            value = str(values.get(key, ""))
            name, other_key, other_value = first.setdefault((database["server"], user), (app["name"], key, value))
            if name != app["name"] and value and other_value and value != other_value:
                yield (
                    f"{app['name']}: database: the user {user} of {database['server']} has another password in"
                    f" fleet_secrets.{name}.{other_key} than in fleet_secrets.{app['name']}.{key}."
                    " Give both the same, or each app a user of its own."
                )


def pools(fleet: Fleet) -> Iterator[str]:
    """The connections of all processes on all hosts fit the server."""
    for server, settings in sorted(fleet.databases.items()):
        limit, reserve = settings.get("max_connections"), capacity.RESERVED_CONNECTIONS
        parts = capacity.connection_parts(fleet, server)
        total = capacity.total(parts) + reserve
        if limit is not None and total > limit:
            terms = " + ".join(map(str, parts))
            saved = capacity.switch_remedy(parts, reserve, limit, "connections")
            yield (
                f"{server}: database.pool: {terms} + reserve {reserve} = {total} connections,"
                f" and the server takes {limit}. Lower a pool, run fewer processes,{saved} or take a larger server."
            )


def _database_apps(fleet: Fleet) -> list[App]:
    return [app for app in fleet.used if "database" in app]


RULES: tuple[Rule, ...] = (
    domains,
    maintenance,
    generated_secrets,
    reserved_database_names,
    schema_owners,
    user_passwords,
    pools,
)
