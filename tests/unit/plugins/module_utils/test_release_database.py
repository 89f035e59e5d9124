"""Which database is locked while an app migrates, and what is said where it is locked already."""

from __future__ import annotations

import sys

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._release_database import (
    DatabaseError,
    Holder,
    for_libpq,
    key,
    locked,
    sentence,
    url,
)


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ([], ""),
        (["PORT=3000\nDATABASE_URL=postgresql://app:pw@db/x\n"], "postgresql://app:pw@db/x"),
        (
            [
                "DATABASE_URL=postgresql://app:pw@db/x\n",
                "MIGRATION_DATABASE_URL='postgres://m:pw@db/x?sslmode=require'\n",
            ],
            "postgres://m:pw@db/x?sslmode=require",
        ),
        (["MIGRATION_DATABASE_URL=postgres://one/x\nMIGRATION_DATABASE_URL=postgres://two/x"], "postgres://two/x"),
        (["MIGRATION_DATABASE_URL=\nDATABASE_URL=postgres://one/x"], "postgres://one/x"),
        (['DATABASE_URL="postgres://a:b\\$c@db/x"'], "postgres://a:b$c@db/x"),
        (["DATABASE_URL=postgresql+asyncpg://app@db/x"], "postgresql+asyncpg://app@db/x"),
        (["DATABASE_URL=mysql://app@db/x"], ""),
        (["DATABASE_URL=file:./dev.db"], ""),
        (["DATABASE_URL=postgres"], ""),
        (["#DATABASE_URL=postgres://one/x\nOTHER_DATABASE_URL=postgres://two/x"], ""),
    ],
)
def test_the_database_is_the_one_that_is_migrated(texts: list[str], wanted: str) -> None:
    assert url(texts) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            "postgres://m:p%40s+s@db:5432/x?sslmode=verify-full&sslrootcert=/etc/a%20b.crt",
            "postgresql://m:p%40s+s@db:5432/x?sslmode=verify-full&sslrootcert=/etc/a%20b.crt",
        ),
        ("postgresql+asyncpg://m@db/x?ssl=require", "postgresql://m@db/x"),
        ("postgresql://m@db/x?schema=public&sslmode=require&pgbouncer=true", "postgresql://m@db/x?sslmode=require"),
        ("postgresql:///x?host=/run/postgresql", "postgresql:///x?host=/run/postgresql"),
    ],
)
def test_libpq_gets_what_it_understands(given: str, wanted: str) -> None:
    assert for_libpq(given) == wanted


def test_each_app_has_a_key_of_its_own_and_keeps_it() -> None:
    assert key("medical-api") == (1410517248, 165834923)
    assert key("medical-api") != key("medical-web")


END = "It did not end within 60 s: run again when it is done, or end it there with SELECT pg_terminate_backend(17)"


@pytest.mark.parametrize(
    ("holder", "end"),
    [
        (
            Holder(17, "us", "10.0.0.5", "2026-11-21 19:00"),
            f": us from 10.0.0.5, connected since 2026-11-21 19:00 UTC (process 17). {END}",
        ),
        (Holder(17, "", None, None), f": a connection without a name (process 17). {END}"),
        (None, ", and did not end within 60 s: run again when it is done"),
    ],
)
def test_who_has_the_lock_is_told(holder: Holder | None, end: str) -> None:
    head = "another migration of medical-api holds the lock of the database"
    assert sentence("medical-api", holder, 60) == head + end


def test_a_missing_library_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with (
        pytest.raises(DatabaseError, match="no psycopg2 to take it: install the package python3-psycopg2 on this host"),
        locked("postgresql://db/x", "medical-api", 1),
    ):
        raise AssertionError("it went on without a lock")
