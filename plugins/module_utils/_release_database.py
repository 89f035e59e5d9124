# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One migration of an app at a time, whichever host it runs on: an advisory lock of the PostgreSQL server.

The server frees the lock with the connection, so a run that is killed leaves none behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
import time
from typing import Any, Iterable, Iterator, NamedTuple

NAMES = ("MIGRATION_DATABASE_URL", "DATABASE_URL")
SCHEMES = ("postgresql", "postgres")
CONNECT_TIMEOUT = 10  # seconds
PATIENCE = 1.0  # seconds between two looks at the lock
KEEPALIVE = 30  # seconds; what stands between drops a connection that is silent for long
# Drivers of apps put settings of their own into the URL, which libpq refuses.
LIBPQ = {
    *("host", "hostaddr", "port", "dbname", "user", "password", "passfile", "channel_binding", "gssencmode"),
    *("sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "target_session_attrs", "options"),
}
TRY = "SELECT pg_try_advisory_lock(%s, %s)"
# Not every server knows the setting.
STAY = (
    "SELECT set_config('idle_session_timeout', '0', false)"
    " WHERE current_setting('idle_session_timeout', true) IS NOT NULL"
)
HOLDER = """
SELECT a.pid, a.application_name, host(a.client_addr), to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = %s AND l.objid = %s
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class DatabaseError(Exception):
    """The lock cannot be had. The text says why; it may hold what the server said."""


class Holder(NamedTuple):
    """A connection that has the lock. ``address`` is None for one on the server itself, or of a user of others'."""

    pid: int
    name: str | None
    address: str | None
    since: str | None


class Held:
    """A lock that one has. ``lost``: whether the connection broke before it was let go."""

    lost = False


def url(texts: Iterable[str]) -> str:
    """The URL of the database that is migrated, from the texts of environment files; empty where they name none."""
    found: dict[str, str] = {}
    for line in "\n".join(texts).splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name in NAMES:
            found[name] = _unquoted(value.strip())
    wanted = next((found[name] for name in NAMES if found.get(name)), "")
    return wanted if _scheme(wanted) in SCHEMES else ""


def _scheme(text: str) -> str:
    """``postgresql`` of ``postgresql+asyncpg://``."""
    return text.partition("://")[0].partition("+")[0] if "://" in text else ""


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == '"':
        return re.sub(r'\\(["\\$`])', r"\1", value[1:-1])
    return value


def for_libpq(text: str) -> str:
    """The URL without what only an app's own driver understands."""
    head, _mark, query = text.partition("://")[2].partition("?")
    known = [pair for pair in query.split("&") if pair.partition("=")[0] in LIBPQ]
    return "postgresql://" + "?".join([head, *(["&".join(known)] if known else [])])


def key(app: str) -> tuple[int, int]:
    """The two numbers that stand for the migrations of an app."""
    digest = hashlib.sha256(f"minato.fleet migrate {app}".encode()).digest()
    first, second = (int.from_bytes(digest[at : at + 4], "big", signed=True) for at in (0, 4))
    return first, second


def sentence(app: str, holder: Holder | None, waited: int) -> str:
    """Why the lock could not be had, after ``waited`` seconds."""
    head = f"another migration of {app} holds the lock of the database"
    if not holder:
        return f"{head}, and did not end within {waited} s: run again when it is done"
    who = holder.name or "a connection without a name"
    where = f" from {holder.address}" if holder.address else ""
    since = f", connected since {holder.since} UTC" if holder.since else ""
    return (
        f"{head}: {who}{where}{since} (process {holder.pid}). It did not end within {waited} s: run again when it is"
        f" done, or end it there with SELECT pg_terminate_backend({holder.pid})"
    )


@contextlib.contextmanager
def locked(database: str, app: str, timeout: int) -> Iterator[Held]:
    """Have the lock for a while. Raises DatabaseError where it cannot be had within ``timeout`` seconds."""
    try:
        import psycopg2
    except ImportError:
        raise DatabaseError(
            f"migrations run under a lock of the database, and {sys.executable} has no psycopg2 to take it: install the"
            " package python3-psycopg2 on this host"
        ) from None
    connection: Any = None
    held = Held()
    try:
        connection = _connect(psycopg2, database, app)
        _wait(connection, app, timeout)
    except psycopg2.Error as error:
        if connection:
            connection.close()
        said = " ".join(str(error).split())
        # What libpq cannot read it repeats, and that may be a part of the password.
        if isinstance(error, psycopg2.ProgrammingError) or said.startswith("invalid "):
            said = "its URL cannot be read; write what is neither letter nor digit in the password as %XX"
        raise DatabaseError(f"the database could not be asked for the lock of {app}'s migrations: {said}") from None
    except DatabaseError:
        connection.close()
        raise
    try:
        yield held
    finally:
        try:
            _ask(connection, "SELECT 1")
        except psycopg2.Error:
            held.lost = True
        connection.close()


def _connect(driver: Any, database: str, app: str) -> Any:
    connection = driver.connect(
        for_libpq(database),
        application_name=f"minato.fleet migrate {app}",
        connect_timeout=CONNECT_TIMEOUT,
        keepalives_idle=KEEPALIVE,
        keepalives_interval=KEEPALIVE,
    )
    connection.autocommit = True
    return connection


def _wait(connection: Any, app: str, timeout: int) -> None:
    _ask(connection, STAY)
    until = time.monotonic() + timeout
    while not _ask(connection, TRY, key(app))[0][0]:
        if time.monotonic() >= until:
            holders = _ask(connection, HOLDER, tuple(part & 0xFFFFFFFF for part in key(app)))
            raise DatabaseError(sentence(app, Holder(*holders[0]) if holders else None, timeout))
        time.sleep(PATIENCE)


def _ask(connection: Any, query: str, values: tuple[int, ...] | None = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        rows: list[Any] = cursor.fetchall()
        return rows
