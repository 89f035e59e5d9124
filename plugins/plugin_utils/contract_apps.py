# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract's rules about an app by itself."""

from __future__ import annotations

import typing as t
from collections import Counter
from collections.abc import Iterator

from ansible_collections.minato.fleet.plugins.module_utils import _git_ssh
from ansible_collections.minato.fleet.plugins.plugin_utils import schemas, wiring
from ansible_collections.minato.fleet.plugins.plugin_utils.catalog import STANDBY_OFFSET, App
from ansible_collections.minato.fleet.plugins.plugin_utils.contract_fleet import (
    Fleet,
    Rule,
    keyed_ports,
    megabytes,
)

# Accounts that Debian and Ubuntu have, or that a service of the host would make.
SYSTEM_USERS = {
    *("root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "backup", "list"),
    *("irc", "gnats", "nobody", "www-data", "sshd", "messagebus", "postgres", "redis", "nginx", "git", "ubuntu"),
    *("admin", "debian", "systemd-network", "systemd-resolve", "systemd-timesync", "syslog", "landscape"),
}
# Ports that services of a host listen on, and from where on Linux takes ports for outgoing connections.
SERVICE_PORTS = {
    2812: "monit",
    3306: "MySQL",
    5432: "PostgreSQL",
    6379: "Redis",
    6432: "PgBouncer",
    9100: "node exporter",
}
FIRST_OUTGOING_PORT, LAST_OUTGOING_PORT = 32768, 60999
SET_BY_THE_FLEET = ("PORT", "HOST")
# Of an app with a database: the key that each is made from.
DATABASE_VARIABLES = {"DATABASE_URL": "user", "DATABASE_POOL_MAX": "pool", "MIGRATION_DATABASE_URL": "migrator"}
TLS_VARIABLES = ("TLS_CERT", "TLS_KEY")
FIRST_ORDINARY_PORT = 1024  # below it, Linux asks for CAP_NET_BIND_SERVICE
LAST_PORT = 65535
EXAMPLE_PORTS = {"port": 3000, "standby_port": 3100}
LEAST_MEMORY = 64
ACME_PATH = "/.well-known/acme-challenge/"


def repeated_names(fleet: Fleet) -> Iterator[str]:
    for name, count in sorted(Counter(app["name"] for app in fleet.apps).items()):
        if count > 1:
            yield f"{name}: fleet_apps has {count} apps of this name. Give each a name of its own."


def system_names(fleet: Fleet) -> Iterator[str]:
    for app in fleet.apps:
        if app["name"] in SYSTEM_USERS:
            yield (
                f"{app['name']}: name: the app's user would be {app['name']}, which is an account of the system."
                f" Write another, for example {app['name']}-app."
            )


def reserved_ports(fleet: Fleet) -> Iterator[str]:
    for app in fleet.apps:
        wrong: dict[str, str] = {}
        for key, port in keyed_ports(app):
            sentence = _reserved(app, port)
            if sentence:
                wrong.setdefault(key, sentence)
        if len(wrong) > 1 and app["standby_port"] == app["port"] + STANDBY_OFFSET:
            del wrong["standby_port"]  # it goes where the port goes
        for key, sentence in wrong.items():
            yield f"{app['name']}: {key}: {sentence} Write another, for example {EXAMPLE_PORTS[key]}."


def _reserved(app: App, port: int) -> str:
    """Why an app cannot have a port; empty where it can."""
    if port in SERVICE_PORTS:
        return f"{port} is {SERVICE_PORTS[port]}'s."
    if port < FIRST_ORDINARY_PORT and not app["serves_tls"]:
        return f"{port} is open to root alone, and the web server stands in front of the app."
    if FIRST_OUTGOING_PORT <= port <= LAST_OUTGOING_PORT:
        return (
            f"{port} is one that Linux gives to outgoing connections"
            f" ({FIRST_OUTGOING_PORT} to {LAST_OUTGOING_PORT}), so it may be taken when the app starts."
        )
    return f"{port} is beyond the last port ({LAST_PORT})." if port > LAST_PORT else ""


def switches(fleet: Fleet) -> Iterator[str]:
    """An app that is switched between two slots has ports for both, and something that follows it."""
    for app in fleet.apps:
        name = app["name"]
        if app["switch"] != "beside":
            continue
        if app["serves_tls"]:
            yield (
                f"{name}: switch: port {app['port']} is the app's own (serves_tls), and two releases cannot both have"
                " it. Write `switch: restart`, or take serves_tls out."
            )
        elif not app["routes"]:
            yield (
                f"{name}: switch: no route leads to it, so nobody would follow it to its other port."
                " Write `switch: restart`, or give it routes."
            )
        else:
            here, there = (wiring.ports(app, slot) for slot in wiring.slots(app))
            both = sorted(set(here) & set(there))
            if both:
                several = f"its {len(here)} processes ({here[0]} to {here[-1]}) have"
                whose = several if len(here) > 1 else "`port` has"
                yield (
                    f"{name}: standby_port: {both[0]} would be a port of both slots, and {whose} it already."
                    f" Write another, for example {app['port'] + STANDBY_OFFSET}."
                )


def artifacts(fleet: Fleet) -> Iterator[str]:
    """What comes as an artifact is built already."""
    for app in (app for app in fleet.apps if "artifact" in app):
        if app["runtime"] == "python":
            yield (
                f"{app['name']}: artifact: a virtual environment cannot be moved."
                " Write `repository` instead, and the host makes its own."
            )
            continue
        for key in ("install", "build"):
            if app.get(key):
                yield f"{app['name']}: {key}: an artifact comes installed and built. Take it out."
        if app["build_on"] == "controller":
            yield f"{app['name']}: build_on: an artifact comes built, so the controller has nothing to do. Take it out."


def little_memory(fleet: Fleet) -> Iterator[str]:
    for app in fleet.apps:
        for key in ("memory_max", "build_memory_max"):
            if megabytes(app[key]) < LEAST_MEMORY:
                yield f"{app['name']}: {key}: {app[key]} is too little to start in. Write {LEAST_MEMORY}M or more."


def environment(fleet: Fleet) -> Iterator[str]:
    """Each variable has one source."""
    for app in fleet.apps:
        taken: dict[str, str] = dict.fromkeys(SET_BY_THE_FLEET, "the fleet")
        if "database" in app:
            taken.update(dict.fromkeys(DATABASE_VARIABLES, "the fleet"))
        if app["redis"]:
            taken["REDIS_URL"] = "the fleet"
        if app["serves_tls"]:
            taken.update(dict.fromkeys(TLS_VARIABLES, "the fleet"))
        for key in ("env", "secrets", "generated_secrets"):
            for name in app[key]:
                if name == wiring.DEPLOY_KEY:
                    yield f"{app['name']}: {key}: {name} is for its repository, and no app is told it. Take it out."
                elif taken.get(name) == "the fleet":
                    yield f"{app['name']}: {key}: {name} is set by the fleet. Take it out{_instead(name)}."
                elif name in taken:
                    yield f"{app['name']}: {key}: {name} stands in {taken[name]} too. Keep it in one of them."
                taken.setdefault(name, key)


def _instead(name: str) -> str:
    if name == "PORT":
        return ", and write `port`"
    return f", and write `database.{DATABASE_VARIABLES[name]}`" if name in DATABASE_VARIABLES else ""


def secrets(fleet: Fleet) -> Iterator[str]:
    """Every secret that a running app needs has a value."""
    for app in fleet.used:
        name, values = app["name"], fleet.secrets.get(app["name"]) or {}
        for key in dict.fromkeys(_needed(app)):
            value = values.get(key)
            if not isinstance(value, str) or not value.strip():
                yield wiring.missing_secret(name, key) + _misspelt_secret(fleet, app, key, values)


def _needed(app: App) -> list[str]:
    database = app.get("database")
    return [*app["secrets"], *([database["password"], database["migrator_password"]] if database else [])]


def deploy_keys(fleet: Fleet) -> Iterator[str]:
    """A key, and host keys, belong to a repository that is asked over ssh, and are what they should be."""
    for app in fleet.apps:
        for mistake in _git_ssh.host_key_mistakes(app["repository"], app["repository_host_keys"]):
            yield f"{app['name']}: {mistake}."
    for app in fleet.used:
        values = fleet.secrets.get(app["name"]) or {}
        here = f"{app['name']}: fleet_secrets.{app['name']}"
        if wiring.DEPLOY_KEY in values:
            mistake = _deploy_key_mistake(app["repository"], values[wiring.DEPLOY_KEY])
            if mistake:
                yield f"{here}.{wiring.DEPLOY_KEY} {mistake}."
        elif _git_ssh.host(app["repository"]):
            spare = set(values) - {*_needed(app), *app["generated_secrets"]}
            if near := schemas.nearest(wiring.DEPLOY_KEY, spare, likeness=0.8):
                yield f"{here}.{near} is read by nobody. Rename it {wiring.DEPLOY_KEY}, or take it out."


def _deploy_key_mistake(repository: str, key: t.Any) -> str:
    """What is wrong with the key, without its full stop; empty where nothing is. No part of it is told."""
    if not isinstance(key, str) or not key.strip():
        return "is empty. Write the private key, or take it out"
    if not repository:
        return "has no use: an artifact comes from no repository. Take it out"
    if not _git_ssh.host(repository):
        ssh = _git_ssh.over_ssh(repository)
        instead = f"Write that as {ssh}, or take the key out" if ssh else "Take it out"
        return f"has no use: its repository is not asked over ssh. {instead}"
    try:
        _git_ssh.read_key(key)
    except ValueError as error:
        return str(error)
    return ""


def _misspelt_secret(fleet: Fleet, app: App, key: str, values: t.Mapping[str, t.Any]) -> str:
    """What fleet_secrets has instead, if it looks like a slip."""
    spare = [name for name in values if name not in (*_needed(app), wiring.DEPLOY_KEY)]
    if key not in values and (near := schemas.nearest(key, spare)):
        return f" There is a {near}: rename it if that is the one."
    spare = [name for name in fleet.secrets if name not in fleet.by_name and name not in fleet.databases]
    if app["name"] not in fleet.secrets and (near := schemas.nearest(app["name"], spare)):
        return f" There is a fleet_secrets.{near}: rename it if that is the one."
    return ""


def runtimes(fleet: Fleet) -> Iterator[str]:
    """What an app says of its runtime and of its process manager holds together."""
    for app in fleet.apps:
        name = app["name"]
        if app["runtime"] == "python" and "python_version" not in app:
            yield f'{name}: python_version is missing. Write that of the host, for example `python_version: "3.11"`.'
        if app["runtime"] == "python" and app["process_manager"] == "pm2":
            yield f"{name}: process_manager: PM2 runs apps of Node.js. Take it out, and systemd runs this one."
        if app["runtime"] == "python" and app["build_on"] == "controller":
            yield f"{name}: build_on: a virtual environment cannot be moved. Take it out, and the host makes its own."
        if app["sticky"] and len(wiring.ports(app)) == 1:
            yield (
                f"{name}: sticky: the web server knows one address of it, so there is nothing to choose."
                " Take it out, or run several `instances` under systemd."
            )


def own_tls(fleet: Fleet) -> Iterator[str]:
    """An app that serves TLS itself is one process under systemd, with one host name and nothing in front."""
    for app in fleet.apps:
        if not app["serves_tls"]:
            continue
        here = f"{app['name']}: serves_tls"
        if app["process_manager"] != "systemd":
            yield f"{here}: only systemd lets an ordinary user have port 443. Write `process_manager: systemd`."
        if app["instances"] > 1:
            yield f"{here}: {app['instances']} processes cannot share a port. Write `instances: 1`, or take it out."
        if [route["path"] for route in app["routes"]] != ["/"]:
            yield f"{here}: the app answers to one host name with nothing in front. Give it one route: its host."


def routes(fleet: Fleet) -> Iterator[str]:
    """An app's own routes make sense."""
    for app in fleet.apps:
        seen: set[str] = set()
        for index, route in enumerate(app["routes"]):
            here = f"{app['name']}: routes[{index}]"
            address = route["host"] + route["path"]
            if address in seen:
                yield f"{here}: {address} is there twice. Keep one of them."
            seen.add(address)
            if f"{route['path']}/".startswith(ACME_PATH):
                yield f"{here}.path: {ACME_PATH} belongs to the certificates' authority. Give the app another path."
            if route["strip_prefix"] and route["path"] == "/":
                yield f"{here}.strip_prefix: there is nothing to strip of the path /. Take it out, or write the path."


def databases(fleet: Fleet) -> Iterator[str]:
    """What an app says of its database holds together, and its server is there."""
    for app in fleet.apps:
        database = app.get("database")
        if not database:
            continue
        here = f"{app['name']}: database"
        if database["user"] == database["migrator"]:
            yield (
                f"{here}.migrator: {database['migrator']} is the running app's user too, so the app could drop its own"
                f" tables. Write another, for example {database['user']}_migrator."
            )
        if database["password"] == database["migrator_password"]:
            yield (
                f"{here}.migrator_password: {database['migrator_password']} is the running app's password too."
                " Name a secret of its own, for example MIGRATOR_PASSWORD."
            )
        for name, count in sorted(Counter(index["name"] for index in database["indexes"]).items()):
            if count > 1:
                yield f"{here}.indexes: {name} names {count} of them. Give each a name of its own."
        if app in fleet.used and database["server"] not in fleet.databases:
            near = schemas.nearest(database["server"], fleet.databases)
            remedy = f"Write {near} instead" if near else "Add it to the group type_database of the inventory"
            yield f"{here}.server: {database['server']} is not a database server. {remedy}."


RULES: tuple[Rule, ...] = (
    repeated_names,
    system_names,
    reserved_ports,
    switches,
    artifacts,
    little_memory,
    environment,
    runtimes,
    own_tls,
    routes,
    databases,
    secrets,
    deploy_keys,
)
