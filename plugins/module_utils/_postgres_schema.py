# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Talks to a PostgreSQL server that we do not own: connects over verified TLS, tries passwords, runs a plan.

The driver is psycopg2 of the distribution (or psycopg 3, where that is what there is), found and fed by
community.postgresql's own code.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Iterator, NamedTuple, Sequence

from ansible_collections.community.postgresql.plugins.module_utils import postgres as driver
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_catalog import read
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_drop import dump_paths
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_dump import read_dump
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_grants import returned
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_plan import (
    fresh_database,
    plan_indexes,
    plan_objects,
)
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_sql import (
    Names,
    Part,
    Password,
    Plan,
    Statement,
    Text,
)
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_types import Current, Dump, Role, Wanted

OLDEST = 150000
CONNECT_TIMEOUT = 10  # seconds
LOCK_TIMEOUT = 60  # seconds, for another run of ours and for a lock on a table
# Any number will do, as long as it is always the same.
_LOCK = 0x6D696E61746F

# What libpq says -> what is the matter, and what to do about it. The first that fits.
_HINTS = (
    ("could not translate host name", "that name does not resolve on this host; check the spelling and its DNS"),
    ("connection refused", "nothing listens there; check the port, and that the server is running"),
    ("timeout expired", "nothing answers; check its firewall or security group and that this host may reach it"),
    ("no route to host", "nothing answers; check the network between this host and the server"),
    ("network is unreachable", "nothing answers; check the network between this host and the server"),
    ("root certificate file", "the file of its authority is missing on this host; check ca_cert"),
    ("does not match host name", "its certificate is for another name; use the name that it carries as login_host"),
    (
        "certificate verify failed",
        "its certificate is not signed by the authority in ca_cert; use the provider's bundle",
    ),
    ("server does not support ssl", "it does not speak TLS; switch that on there"),
    ("password authentication failed", "the password of that user is not login_password, or there is no such user"),
    ("no pg_hba.conf entry", "it does not accept this user from this host; check its access rules"),
    ("permission denied for database", "that user may not connect to that database; grant it CONNECT there"),
)
# Said after the password was found right.
_PASSWORD_RIGHT = (
    "permission denied for database",
    "too many connections for",
    "is not permitted to log in",
    "remaining connection slots are reserved",
)


class PostgresSchemaError(Exception):
    """Says what was tried, on what, and what to do next."""


class Outcome(NamedTuple):
    """What was run, or would be in check mode; `queries` and `logins` are what the first look cost."""

    statements: list[Statement]
    warnings: list[str]
    queries: int
    logins: int


def explain(error: str, user: str, host: str, port: int, database: str) -> str:
    """libpq's words with what they mean before them."""
    said = " ".join(error.split())
    hint = next((hint for words, hint in _HINTS if words in said.lower()), "")
    what = f"Cannot connect to PostgreSQL at {host}:{port}, database {database}, as {user}"
    return f"{what}: {hint}. It said: {said}" if hint else f"{what}: {said}"


def password_right(error: str) -> bool | None:
    """Whether a refused login had the right password; None if the server's words do not tell."""
    said = error.lower()
    if any(words in said for words in _PASSWORD_RIGHT):
        return True
    return False if "password authentication failed" in said else None


def empty_server(user: str) -> Current:
    """A server on which nothing has been made yet."""
    master = Role(login=True, connection_limit=-1, usable=True, own_grant=None, members={}, password_right=None)
    return Current(
        version=OLDEST,
        master=user,
        superuser=False,
        roles={user: master},
        databases={},
        extensions={},
        sessions=[],
        ties=[],
        dumps={},
    )


class Server:
    """Connections to one server, one per database, as the master user.

    `login` is {host, port, user, password, database, ssl_mode, ca_cert}.
    """

    def __init__(self, login: dict[str, Any], indexes: bool) -> None:
        self.login = login
        self.indexes = indexes
        self.queries = 0
        self.logins = 0
        self._version = 0
        self._connections: dict[str, Any] = {}
        self._dumps: dict[str, Dump] = {}

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections = {}

    def query(self, database: str, sql: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        self.queries += 1
        connection = self._connection(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
        except driver.psycopg.Error as error:
            what = database or "the server"
            raise PostgresSchemaError(f"Cannot read the catalog of {what}: {_said(error)}") from error
        return rows

    def version(self) -> int:
        """As the server counts it. Asked once: the connection does not answer any more when it is lost."""
        if not self._version:
            self._version = driver.get_server_version(self._connection(""))
        if self._version < OLDEST:
            found = f"{self._version // 10000}.{self._version % 10000}"
            needed = OLDEST // 10000
            raise PostgresSchemaError(
                f"PostgreSQL at {self.login['host']} is {found}; this needs {needed} or later: upgrade the server"
            )
        return self._version

    def current(self, wanted: Wanted) -> Current:
        """The state of the server, passwords tried, and dumps read of what is to be dropped."""
        current = read(self.query, self.version(), wanted, self.indexes)
        present = [item for item in wanted["databases"] if item["state"] == "present"]
        for item in wanted["databases"]:
            if item not in present:
                self._leave(item["name"])
        if self.indexes:
            return current
        for path in dump_paths(current, wanted):
            self._dumps[path] = current["dumps"][path] = self._dumps.get(path) or read_dump(path)
        for role in wanted["roles"]:
            have = current["roles"].get(role["name"])
            if have and have["login"] and role["password"] and role["state"] == "present":
                databases = [
                    database["name"]
                    for database in present
                    if role["name"] in database["connect"] and database["name"] in current["databases"]
                ]
                have["password_right"] = self._try(role["name"], role["password"], (databases or [""])[0])
        return current

    def run(self, statements: Sequence[Statement], passwords: dict[str, str]) -> None:
        """Run the statements in order; neighbours in one database share a transaction, unless they cannot be in one."""
        start = 0
        while start < len(statements):
            first = statements[start]
            end = start + 1
            while not first.autocommit and end < len(statements):
                if statements[end].autocommit or statements[end].database != first.database:
                    break
                end += 1
            self._transaction(statements[start:end], passwords)
            start = end

    def run_or_return(self, statements: Sequence[Statement], passwords: dict[str, str], wanted: Wanted) -> None:
        """Run the statements; if one fails, give back what was borrowed for it."""
        try:
            self.run(statements, passwords)
        except PostgresSchemaError:
            # If the server is gone, the next run will.
            with suppress(PostgresSchemaError):
                self.run(returned(self.current(wanted)), passwords)
            raise

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Only one run at a time. Asked for again and again rather than waited for: who waits inside the server
        holds up the CREATE INDEX CONCURRENTLY of the one waited for."""
        end = time.monotonic() + LOCK_TIMEOUT
        while not self.query("", "SELECT pg_try_advisory_lock(%s)", (_LOCK,))[0][0]:
            if time.monotonic() > end:
                holders = self.query(
                    "",
                    "SELECT a.usename, a.client_addr, a.pid, a.backend_start"
                    "  FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                    " WHERE l.locktype = 'advisory' AND l.granted AND (l.classid::bigint << 32 | l.objid::bigint) = %s",
                    (_LOCK,),
                )
                who = ", ".join(
                    f"{user} from {address}, process {pid}, since {at}" for user, address, pid, at in holders
                )
                raise PostgresSchemaError(
                    f"Another run is at work on {self.login['host']} ({who}): try again when it is done"
                )
            time.sleep(0.5)
        try:
            yield
        finally:
            # The server frees it with the session at the latest.
            with suppress(PostgresSchemaError):
                self.query("", "SELECT pg_advisory_unlock(%s)", (_LOCK,))

    def _leave(self, database: str) -> None:
        """A database that anybody is connected to cannot be dropped."""
        if database in self._connections:
            self._connections.pop(database).close()

    def _connection(self, database: str) -> Any:
        if database not in self._connections:
            login = {**self.login, "database": database or self.login["database"]}
            try:
                connection = self._connect(login)
            except driver.psycopg.Error as error:
                raise PostgresSchemaError(
                    explain(str(error), login["user"], login["host"], login["port"], login["database"])
                ) from error
            connection.autocommit = True
            self._connections[database] = connection
        return self._connections[database]

    def _connect(self, login: dict[str, Any]) -> Any:
        self.logins += 1
        parameters = {
            "login_host": login["host"],
            "login_port": login["port"],
            "login_user": login["user"],
            "login_password": login["password"],
            "login_unix_socket": "",
            "login_db": login["database"],
            "ssl_mode": login["ssl_mode"],
            "ca_cert": login["ca_cert"],
            "connect_params": {
                "connect_timeout": CONNECT_TIMEOUT,
                "application_name": "minato.fleet.postgres_schema",
                # Nobody's function in a schema of theirs is to be taken for one of the server's. An index that is made
                # concurrently has to wait for the transactions before it, however long.
                "options": f"-c search_path= -c lock_timeout={0 if self.indexes else LOCK_TIMEOUT * 1000}",
            },
        }
        return driver.psycopg.connect(**driver.get_conn_params(None, parameters))

    def _try(self, user: str, password: str, database: str) -> bool:
        """Log in as the role: the only way to learn whether its password is right, as nobody but a superuser may read
        the stored one."""
        login = {**self.login, "user": user, "password": password, "database": database or self.login["database"]}
        try:
            self._connect(login).close()
        except driver.psycopg.OperationalError as error:
            right = password_right(str(error))
            if right is None:
                said = explain(str(error), user, login["host"], login["port"], login["database"])
                raise PostgresSchemaError(f"Cannot tell whether the password of {user} is right. {said}") from error
            return right
        return True

    def _transaction(self, statements: Sequence[Statement], passwords: dict[str, str]) -> None:
        connection = self._connection(statements[0].database)
        connection.autocommit = statements[0].autocommit
        running = statements[0]
        try:
            with connection.cursor() as cursor:
                for running in statements:
                    cursor.execute(self._composed(connection, running, passwords))
            if not connection.autocommit:
                connection.commit()
        except driver.psycopg.Error as error:
            if not connection.closed and not connection.autocommit:
                connection.rollback()
            said = running.remedies.get(error.diag.sqlstate or "") or _said(error)
            if running.undo and not connection.closed:
                # Where the server is gone as well, the next run will.
                with suppress(PostgresSchemaError):
                    self._transaction([running.undo], passwords)
            where = running.database or self.login["host"]
            raise PostgresSchemaError(f"{where}: {running.text} ({running.why}) failed: {said}") from error
        finally:
            if not connection.closed:
                connection.autocommit = True

    def _composed(self, connection: Any, statement: Statement, passwords: dict[str, str]) -> Any:
        sql = import_module(f"{driver.psycopg.__name__}.sql")

        def part(part: Part) -> Any:
            if isinstance(part, Names):
                return sql.SQL(", ").join(sql.Identifier(*item) for item in part.items)
            if isinstance(part, Text):
                return sql.Literal(part.value)
            if isinstance(part, Password):
                return sql.Literal(_verifier(connection, part.role, passwords[part.role]))
            return sql.SQL(part.sql)

        return sql.SQL(statement.template).format(**{name: part(value) for name, value in statement.parts.items()})


def converge(login: dict[str, Any], wanted: Wanted, indexes: bool, check_mode: bool) -> Outcome:
    """Bring the server to what is wanted, or say what that would take.

    Looks first, and takes the lock only if there is something to do; under it, looks again. What a server accepts
    without doing it (a REVOKE of what somebody else granted) is found by looking once more at the end.
    """
    if any(item["name"] == login["database"] and item["state"] == "absent" for item in wanted["databases"]):
        raise PostgresSchemaError(
            f"database {login['database']} cannot be dropped: it is the one logged in to; name another one as login_db"
        )
    passwords = {role["name"]: role["password"] for role in wanted["roles"] if role["password"]}
    server = Server(login, indexes)
    try:
        plan = _plan(server.current(wanted), wanted, indexes, check_mode)
        queries, logins = server.queries, server.logins
        if check_mode or not plan.statements:
            return Outcome(plan.statements, plan.warnings, queries, logins)
        done: list[Statement] = []
        with server.lock():
            # Twice, as a new database may bring from its template what is not wanted here.
            for _attempt in range(2):
                plan = _plan(server.current(wanted), wanted, indexes, check_mode)
                server.run_or_return(plan.statements, passwords, wanted)
                done += plan.statements
                left = _plan(server.current(wanted), wanted, indexes, check_mode)
                if not left.statements:
                    return Outcome(done, left.warnings, queries, logins)
        listed = "; ".join(f"{statement.text} ({statement.why})" for statement in left.statements)
        raise PostgresSchemaError(
            f"The server took these without doing them, so they are not {login['user']}'s to do: {listed}"
        )
    finally:
        server.close()


def predict(login: dict[str, Any], wanted: Wanted, indexes: bool) -> Outcome:
    """What an empty server would take, where there is no way yet to look at the real one."""
    current = empty_server(login["user"])
    current["extensions"] = {extension: "offered" for item in wanted["databases"] for extension in item["extensions"]}
    if indexes:
        current["databases"] = {item["name"]: fresh_database(item["owner"]) for item in wanted["databases"]}
    plan = _plan(current, wanted, indexes, True)
    return Outcome(plan.statements, plan.warnings, 0, 0)


def _plan(current: Current, wanted: Wanted, indexes: bool, check_mode: bool) -> Plan:
    plan = plan_indexes(current, wanted, predict=check_mode) if indexes else plan_objects(current, wanted)
    if plan.errors:
        raise PostgresSchemaError("\n".join(plan.errors))
    return plan


def _verifier(connection: Any, role: str, password: str) -> str:
    """What PostgreSQL stores in place of a password, made here by libpq: the password itself never leaves this host."""
    if driver.psycopg.__name__ == "psycopg2":
        verifier: str = driver.psycopg.extensions.encrypt_password(password, role, connection, "scram-sha-256")
        return verifier
    made: bytes = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return made.decode()


def _said(error: Any) -> str:
    """The server's own words, without the statement: that one may carry a verifier."""
    told = [error.diag.message_primary, error.diag.message_detail, error.diag.message_hint]
    # Without a word of the server it is the driver's, about the connection.
    return " ".join(text for text in told if text) or " ".join(str(error).split())
