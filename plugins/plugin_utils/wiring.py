# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the apps of a host to each role's input. The one place that knows where an app's things lie on a host.

Every function takes complete apps (``catalog.select_apps``) and gives the list that the role's argument spec asks for.
"""

from __future__ import annotations

import os
import typing as t
from urllib.parse import quote

from ansible.errors import AnsibleFilterError
from ansible_collections.minato.fleet.plugins.module_utils import _python_venv
from ansible_collections.minato.fleet.plugins.plugin_utils.catalog import App
from ansible_collections.minato.fleet.plugins.plugin_utils.schemas import plain

Item = dict[str, t.Any]
Secrets = t.Mapping[str, t.Mapping[str, str]]
Databases = t.Mapping[str, t.Mapping[str, t.Any]]
# The slots in which each app runs, by the app's name; one that is not named runs in its first.
Running = t.Mapping[str, t.Sequence[str]]

NODE_ROOT = "/opt/node"
CERTIFICATE_ROOT = "/etc/ssl/fleet"
CERTIFICATE_FILES = ("fullchain.pem", "privkey.pem")
MIN_UPTIME = 1  # seconds that a process stays up before its health is asked; it is asked again before it serves
# Variables that the fleet makes of secrets.
DEPLOY_KEY = "DEPLOY_KEY"  # the secret that an app's repository is asked with
DERIVED_SECRETS = ("DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL")
CA_ROOT = "/usr/local/share/ca-certificates"


def home(app: App) -> str:
    return f"/opt/{app['name']}"


def env_path(app: App) -> str:
    return f"{home(app)}/shared/{app['env_file']}"


def migrate_env_path(app: App) -> str:
    return f"{home(app)}/migrate.env"


def log_dir(app: App) -> str:
    return f"/var/log/{app['name']}"


def node_major(app: App) -> str:
    return str(app["node_version"].split(".")[0])


def node_bin(app: App) -> str:
    return f"{NODE_ROOT}/{node_major(app)}/bin"


def python_bin(app: App) -> str:
    return os.path.dirname(_python_venv.python_path(app["python_version"]))


def ports(app: App, slot: str = "a") -> list[int]:
    """The ports that the app's processes in a slot listen on: PM2's share one, systemd's have one each."""
    count = app["instances"] if app["process_manager"] == "systemd" else 1
    first = app["port"] if slot == "a" else app["standby_port"]
    return [first + index for index in range(count)]


def slot_name(app: App, slot: str) -> str:
    """What the app's process or unit in a slot is called."""
    return str(app["name"]) if slot == "a" else f"{app['name']}-{slot}"


def slot_dir(app: App, slot: str) -> str:
    return f"{home(app)}/slots/{slot}"


def slot_env_path(app: App, slot: str) -> str:
    return f"{slot_dir(app, slot)}.env"


def _in_slots(apps: list[App], running: Running, manager: str) -> t.Iterator[tuple[App, str]]:
    """Each app of a process manager with each slot that it runs in."""
    for app in apps:
        if app["process_manager"] == manager:
            yield from ((app, slot) for slot in running.get(app["name"], ("a",)))


def _warm_up_path(app: App, running: Running | None) -> str:
    """What is asked before users come: nothing where they are there already, and no other slot serves them."""
    beside = len((running or {}).get(app["name"], ())) > 1
    return str(app["warm_up_path"] or app["health_path"]) if beside else ""


def running(live: t.Mapping[str, str | None], name: str = "", slot: str = "") -> dict[str, list[str]]:
    """The slots that each app is to run in: the one that serves, and for the app with that name one beside it.

    Args:
        live: The slot that serves, by the app's name; null for one that was never deployed.
    """
    found = {app: [serves] if serves else [] for app, serves in live.items()}
    return {**found, name: sorted({*found.get(name, []), slot})} if name else found


def slots(app: App) -> tuple[str, ...]:
    """The slots that the app's releases take in turn."""
    return ("a", "b") if app["switch"] == "beside" else ("a",)


def every_port(app: App) -> list[int]:
    """The ports of all of its slots."""
    return [port for slot in slots(app) for port in ports(app, slot)]


def node_versions(apps: list[App]) -> list[str]:
    """Versions of Node.js that the apps ask for, each once, the first app's first."""
    return list(dict.fromkeys(app["node_version"] for app in apps if app["runtime"] == "node"))


def python_versions(apps: list[App]) -> list[str]:
    """Versions of Python that the apps ask for, each once, the first app's first."""
    return list(dict.fromkeys(app["python_version"] for app in apps if app["runtime"] == "python"))


def app_homes(apps: list[App]) -> dict[str, str]:
    """Each app's own directory, by its name."""
    return {app["name"]: home(app) for app in apps}


def app_releases(apps: list[App]) -> list[Item]:
    """Input of the role app."""
    return [
        {
            "name": app["name"],
            "user": app["name"],
            "home": home(app),
            "repository": app["repository"],
            "repository_host_keys": app["repository_host_keys"],
            "version": app["version"],
            "path_prefix": [python_bin(app) if app["runtime"] == "python" else node_bin(app)],
            "install": _install(app),
            "build": app["build"],
            "migrate": app["migrate"],
            "migrate_env_files": [env_path(app), *([migrate_env_path(app)] if "database" in app else [])],
            "shared": [app["env_file"], *(f"{name}/" for name in app["shared_dirs"])],
            "env_file": env_path(app),
            "env_example": app["env_example"],
            "keep": app["keep_releases"],
            "build_memory_max": app["build_memory_max"],
            "build_on": app["build_on"],
            "switch": app["switch"],
            "migrations": app["migrations"],
            "hooks": app["hooks"],
            **({"artifact": app["artifact"]} if "artifact" in app else {}),
            "node_version": node_major(app) if app["runtime"] == "node" else "",
            # On the host a build finds these in the environment file.
            "build_env": _texts(app["env"]) if app["build_on"] == "controller" else {},
        }
        for app in apps
    ]


def deploy_keys(apps: list[App], secrets: Secrets) -> dict[str, str]:
    """Input of the role app: the private key of each repository that has one, by the app's name.

    Apart from ``app_releases``, whose parts are sent to hosts, printed and written down.

    Args:
        secrets: ``fleet_secrets``: values by app and name.
    """
    found = {app["name"]: secrets.get(app["name"], {}).get(DEPLOY_KEY) for app in apps}
    return {name: str(key) for name, key in found.items() if key}


def _install(app: App) -> str:
    if "install" in app:
        return str(app["install"])
    return _python_venv.install_command(
        _python_venv.python_path(app["python_version"]), requirements=[app["requirements"]]
    )


def env_files(apps: list[App], secrets: Secrets, databases: Databases, redis: Item | None = None) -> list[Item]:
    """Input of the role env_file: the app's environment, and that of its migrations, which the app cannot read.

    Args:
        secrets: ``fleet_secrets``: values by app and name.
        databases: ``fleet_database`` of every database server, by its inventory name.
        redis: ``fleet_redis`` of the host.

    Raises:
        AnsibleFilterError: A secret has no value. The message names the app and the secret, never a value.
    """
    files = []
    for app in apps:
        name = app["name"]
        env = {"PORT": app["port"], "HOST": "0.0.0.0" if app["serves_tls"] else "127.0.0.1", **app["env"]}
        env.update({key: secret(secrets, name, key) for key in app["secrets"]})
        database = app.get("database")
        if database:
            env["DATABASE_URL"] = database_url(app, secrets, databases, database["user"], database["password"])
            env["DATABASE_POOL_MAX"] = database["pool"]
        if app["redis"]:
            env["REDIS_URL"] = redis_url(name, redis or {})
        if app["serves_tls"]:
            env["TLS_CERT"], env["TLS_KEY"] = (f"{certificate_dir(app)}/{name}" for name in CERTIFICATE_FILES)
        files.append({**_env_file(env_path(app), name, env), "generate": app["generated_secrets"]})
        if database:
            migrator = database_url(app, secrets, databases, database["migrator"], database["migrator_password"])
            files.append(_env_file(migrate_env_path(app), "root", {"MIGRATION_DATABASE_URL": migrator}))
    return files


def _env_file(path: str, owner: str, env: t.Mapping[str, t.Any]) -> Item:
    return {"path": path, "owner": owner, "group": owner, "mode": "0600", "values": _texts(env)}


def _texts(env: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {key: _text(value) for key, value in env.items()}


def _text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def secret(secrets: Secrets, app: str, key: str) -> str:
    """A secret's value; AnsibleFilterError names the app and the secret where it has none."""
    value = secrets.get(app, {}).get(key)
    if not isinstance(value, str) or not value.strip():
        raise AnsibleFilterError(missing_secret(app, key))
    return str(value)


def missing_secret(app: str, key: str) -> str:
    """The sentence about a secret without a value."""
    return f"{app}: the secret {key} has no value. Give it one in fleet_secrets.{app}.{key}, in a vault file."


def redis_url(app: str, redis: t.Mapping[str, t.Any]) -> str:
    """The address of the host's Redis; AnsibleFilterError names the app where the host has none."""
    if not redis.get("password"):
        raise AnsibleFilterError(
            f"{app}: it uses Redis, and its host has no fleet_redis.password. Write it in a vault file."
        )
    return f"redis://:{quote(str(redis['password']), safe='')}@127.0.0.1:6379"


def database_url(app: App, secrets: Secrets, databases: Databases, user: str, password_name: str) -> str:
    """A libpq connection URI that verifies the server's certificate and name (``sslmode=verify-full``)."""
    database = app["database"]
    server = databases[database["server"]]
    password = quote(secret(secrets, app["name"], password_name), safe="")
    return (
        f"postgresql://{user}:{password}@{server['host']}:{server['port']}/{database['name']}"
        f"?sslmode=verify-full&sslrootcert={quote(ca_file(database['server']), safe='/')}"
    )


def ca_file(server: str) -> str:
    """Where a database server's CA lies on every host that talks to it."""
    return f"{CA_ROOT}/{server}.crt"


def ca_certificates(databases: Databases) -> list[Item]:
    """Input of the role base: the CAs of the fleet's database servers."""
    return [{"name": name, "content": str(server["ca"])} for name, server in sorted(databases.items())]


def _args(app: App, port: str) -> list[str]:
    return [arg.replace("{port}", port) for arg in app["args"]]


def pm2_apps(apps: list[App], running: Running | None = None) -> list[Item]:
    """Input of the role pm2."""
    return [
        {
            "name": slot_name(app, slot),
            "app": app["name"],
            "user": app["name"],
            "pm2_home": f"{home(app)}/.pm2",
            "cwd": slot_dir(app, slot),
            "script": app["script"],
            "args": _args(app, str(ports(app, slot)[0])),
            "node": f"{node_bin(app)}/node",
            "instances": app["instances"],
            "exec_mode": "fork" if app["instances"] == 1 else "cluster",
            # The environment file has the first slot's.
            "env": {} if slot == "a" else {"PORT": str(ports(app, slot)[0])},
            "restart_on": [slot_env_path(app, slot)],
            "max_memory_restart": app["memory_max"],
            "min_uptime": MIN_UPTIME * 1000,
            "kill_timeout": 10000,
            "listen_timeout": 15000,
            "wait_ready": app["wait_ready"],
            "health_url": f"http://127.0.0.1:{ports(app, slot)[0]}{app['health_path']}",
            "warm_up_url": f"http://127.0.0.1:{ports(app, slot)[0]}{warm_up}" if warm_up else "",
            "log_dir": log_dir(app),
        }
        for app, slot in _in_slots(apps, running or {}, "pm2")
        for warm_up in [_warm_up_path(app, running)]
    ]


def pm2_node_bin(apps: list[App]) -> str:
    """Input of the role pm2: the Node.js that runs PM2 itself, that of the host's first app."""
    return node_bin(apps[0])


def systemd_units(apps: list[App], running: Running | None = None) -> list[Item]:
    """Input of the role systemd_unit. Of an app with several processes each has its port for its instance's name."""
    return [
        _systemd_unit(app, slot, _warm_up_path(app, running)) for app, slot in _in_slots(apps, running or {}, "systemd")
    ]


def _systemd_unit(app: App, slot: str, warm_up: str) -> Item:
    several = app["instances"] > 1
    port = "%i" if several else str(ports(app, slot)[0])
    if app["runtime"] == "python":
        program = [f"{slot_dir(app, slot)}/.venv/bin/{app['script']}"]
    else:
        program = [f"{node_bin(app)}/node", app["script"]]
    origin = f"{'https' if app['serves_tls'] else 'http'}://127.0.0.1:{port}"
    # The environment file has the first one's port for all of them.
    own_port = ["/usr/bin/env", f"PORT={port}"] if several or slot != "a" else []
    return {
        "name": slot_name(app, slot),
        "description": f"The app {app['name']}",
        "command": [*own_port, *program, *_args(app, port)],
        "user": app["name"],
        "working_directory": slot_dir(app, slot),
        "environment_files": [slot_env_path(app, slot)],
        "instances": [str(each) for each in ports(app, slot)] if several else [],
        "memory_max": app["memory_max"],
        "jit": app["runtime"] == "node",
        "capabilities": ["CAP_NET_BIND_SERVICE"] if app["port"] < 1024 else [],
        "read_write_paths": [f"{home(app)}/shared/{name}" for name in app["shared_dirs"]],
        "min_uptime": MIN_UPTIME,
        "settings": {"LogsDirectory": app["name"], "LogsDirectoryMode": "0750"},
        "restart_on": [slot_env_path(app, slot)],
        "health_url": f"{origin}{app['health_path']}",
        "warm_up_url": f"{origin}{warm_up}" if warm_up else "",
    }


def logrotate_rules(apps: list[App]) -> list[Item]:
    """Input of the role logrotate. PM2 keeps its log files open, so they are copied and cut, not renamed."""
    return [
        {
            "name": app["name"],
            "paths": [f"{log_dir(app)}/*.log"],
            "user": app["name"],
            "group": app["name"],
            "frequency": "daily",
            "keep": 14,
            "max_size": "100M",
            "copytruncate": True,
            "postrotate": "",
        }
        for app in apps
    ]


def hosts(apps: list[App]) -> list[str]:
    """Host names that the web server answers to for the apps, each once."""
    return list(dict.fromkeys(route["host"] for app in _behind_web(apps) for route in app["routes"]))


def _behind_web(apps: list[App]) -> list[App]:
    return [app for app in apps if app["routes"] and not app["serves_tls"]]


def nginx_upstreams(
    apps: list[App], maintenance: t.Sequence[str] = (), serving: t.Mapping[str, str | None] | None = None
) -> list[Item]:
    """Input of the role nginx: one upstream for each app that has a route.

    Args:
        maintenance: Names of the apps that are under maintenance.
        serving: The slot that serves, by the app's name; the first of an app that is not named.
    """
    return [
        {
            "name": app["name"],
            "servers": [f"127.0.0.1:{port}" for port in ports(app, (serving or {}).get(app["name"]) or "a")],
            "sticky": app["sticky"],
            "maintenance": app["name"] in maintenance,
        }
        for app in _behind_web(apps)
    ]


def nginx_sites(apps: list[App], hsts_max_age: int = 300) -> list[Item]:
    """Input of the role nginx: one site for each host name, with the routes of every app that has some there."""
    return [
        {
            "name": host,
            "server_names": [host],
            "certificate": f"{CERTIFICATE_ROOT}/{host}/{CERTIFICATE_FILES[0]}",
            "certificate_key": f"{CERTIFICATE_ROOT}/{host}/{CERTIFICATE_FILES[1]}",
            "hsts_max_age": hsts_max_age,
            "routes": [
                _nginx_route(app, route)
                for app in _behind_web(apps)
                for route in app["routes"]
                if route["host"] == host
            ],
        }
        for host in hosts(apps)
    ]


def _nginx_route(app: App, route: Item) -> Item:
    limit = {key: route[key] for key in ("rate_limit", "rate_burst")} if route["rate_limit"] else {}
    return {
        "path": route["path"],
        "upstream": app["name"],
        "websocket": route["websocket"],
        "strip_prefix": route["strip_prefix"],
        "max_body_size": route["max_body_size"],
        "read_timeout": route["read_timeout"],
        "websocket_timeout": route["websocket_timeout"],
        "allow": route["allow"],
        **limit,
    }


def probe(app: App) -> Item:
    """A request that the app answers behind a web server: ``name``, ``path``, ``status`` (a regular expression).

    It is the app's health where that can be asked from outside, or else the path of a route, to which it has some
    answer.
    """
    for route in app["routes"]:
        if route["strip_prefix"] or route["path"] == "/":
            path = str(route["path"]).rstrip("/") + str(app["health_path"])
            return {"name": route["host"], "path": path, "status": "200"}
    route = app["routes"][0]
    return {"name": route["host"], "path": route["path"], "status": "(?!404|421)[1-4]"}


def certificates(apps: list[App]) -> list[Item]:
    """Input of the role certbot: one certificate for each host name that the web server answers to."""
    return [{"name": host, "domains": [host]} for host in hosts(apps)]


def app_certificates(apps: list[App]) -> list[Item]:
    """Input of the role certbot: one certificate for each app that serves TLS itself, whose group may read the key."""
    return [
        {
            "name": own_host(app),
            "domains": [own_host(app)],
            "challenge": "standalone",
            "key_group": app["name"],
            "port": app["port"],
            "reload": f"systemctl kill --signal=HUP --kill-whom=main {app['name']}.service",
        }
        for app in apps
        if app["serves_tls"]
    ]


def own_host(app: App) -> str:
    """The host name of an app that serves TLS itself."""
    return str(app["routes"][0]["host"])


def checked_apps(apps: list[App]) -> list[Item]:
    """Input of the module security_check: the apps."""
    return [
        {
            "name": app["name"],
            "user": app["name"],
            "home": home(app),
            "env_files": [env_path(app), *([migrate_env_path(app)] if "database" in app else [])],
            "env_name": app["env_file"],
            "secrets": [*app["secrets"], *app["generated_secrets"], *DERIVED_SECRETS],
            "log_dir": log_dir(app),
            "units": _units(app),
            "data": [f"{home(app)}/shared/{name}" for name in app["shared_dirs"]],
        }
        for app in apps
    ]


def _units(app: App) -> list[str]:
    """The units whose journal is the app's, as patterns of systemd."""
    if app["process_manager"] == "pm2":
        return [f"pm2@{app['name']}.service"]
    which = "@*.service" if app["instances"] > 1 else ".service"
    return [slot_name(app, slot) + which for slot in slots(app)]


def checked_certificates(apps: list[App]) -> list[Item]:
    """Input of the module security_check: the certificates that the host serves."""
    behind_web = [{"name": host, "directory": f"{CERTIFICATE_ROOT}/{host}"} for host in hosts(apps)]
    own = [
        {"name": own_host(app), "directory": certificate_dir(app), "key_group": app["name"]}
        for app in apps
        if app["serves_tls"]
    ]
    return [*behind_web, *own]


def certificate_dir(app: App) -> str:
    return f"{CERTIFICATE_ROOT}/{own_host(app)}"


def database_clients(apps: t.Any, server: str, hosts: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """Names of the hosts that run an app of this database server, and so can reach it, in the order of the inventory.

    Args:
        apps: The catalog (``fleet_apps``); it need not be complete.
        server: Inventory name of the server.
        hosts: Names of each host's apps, by the host's name.
    """
    names = {app["name"] for app in apps if (app.get("database") or {}).get("server") == server}
    return [str(host) for host, here in hosts.items() if names.intersection(here)]


def _database_apps(apps: list[App], server: str) -> list[App]:
    return [app for app in apps if app.get("database", {}).get("server") == server]


def postgres_roles(apps: list[App], server: str, secrets: Secrets) -> list[Item]:
    """Input of the role postgres_schema: the users of one server, each once."""
    roles: dict[str, Item] = {}
    for app in _database_apps(apps, server):
        database = app["database"]
        for user, password in (("migrator", "migrator_password"), ("user", "password")):
            name = database[user]
            value = secret(secrets, app["name"], database[password])
            roles[name] = {"name": name, "password": value, "login": True}
    return list(roles.values())


def postgres_databases(apps: list[App], server: str) -> list[Item]:
    """Input of the role postgres_schema: the databases of one server, each with the schemas of its apps."""
    databases: dict[str, Item] = {}
    for app in _database_apps(apps, server):
        wanted = app["database"]
        database = databases.setdefault(wanted["name"], _postgres_database(wanted["name"]))
        users = [wanted["migrator"], wanted["user"]]
        database["connect"] = list(dict.fromkeys([*database["connect"], *users]))
        database["extensions"] = list(dict.fromkeys([*database["extensions"], *wanted["extensions"]]))
        for name in (wanted["schema"], *wanted["schemas"]):
            _postgres_schema(database, name, wanted["migrator"])["grants"][wanted["user"]] = "read_write"
        database["search_path"].update({user: [wanted["schema"]] for user in users})
        indexes = [{**plain(index), "schema": wanted["schema"]} for index in wanted["indexes"]]
        database["indexes"] += [index for index in indexes if index not in database["indexes"]]
    for app in _database_apps(apps, server):
        wanted = app["database"]
        for schema in databases[wanted["name"]]["schemas"]:
            if schema["name"] in wanted["shared_schemas"]:
                schema["grants"][wanted["user"]] = "read_write"
    return list(databases.values())


def _postgres_schema(database: Item, name: str, owner: str) -> Item:
    """A schema that an app owns, which another app with the same owner may have named already."""
    for schema in database["schemas"]:
        if schema["name"] == name:
            return t.cast(Item, schema)
    schema = {"name": name, "owner": owner, "grants": {}}
    database["schemas"].append(schema)
    return schema


def _postgres_database(name: str) -> Item:
    return {
        "name": name,
        "owner": f"{name}_owner",
        "connect": [],
        "extensions": [],
        "schemas": [],
        "search_path": {},
        "indexes": [],
    }
