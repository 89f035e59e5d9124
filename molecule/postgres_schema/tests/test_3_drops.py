"""What is dropped, and what it takes: named twice, dumped just now, needed by nobody."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.postgres_schema.tests.database import (
    CLIENT,
    CLIENT_PROGRAM,
    MASTER,
    ON_SERVER,
    PASSWORDS,
    play,
    refused,
    rows,
    succeeded,
    superuser,
)

PASSWORD = "Trial-Us3r"
ROLE = {"name": "trial_user", "password": PASSWORD}
TRIAL = {
    "name": "medical_trial",
    "owner": "medical_trial_owner",
    "connect": ["trial_user"],
    "schemas": [{"name": "trial", "owner": "trial_user"}],
}
SURVEY = {
    "name": "medical_system",
    "owner": "medical_system_owner",
    "connect": ["trial_user"],
    "schemas": [{"name": "survey", "owner": "trial_user"}],
}
TRIAL_DUMP, SYSTEM_DUMP = "/var/backups/medical_trial.dump", "/var/backups/medical_system.dump"
CONFIRMED = ("database medical_trial", "schema medical_system.survey", "role trial_user")
THERE = (
    "SELECT count(*) FROM (SELECT FROM pg_roles WHERE rolname = 'trial_user' UNION ALL SELECT FROM pg_database"
    " WHERE datname = 'medical_trial' UNION ALL SELECT FROM pg_namespace WHERE nspname = 'survey') x"
)


def described(*databases: dict[str, Any], confirm: Sequence[str] = CONFIRMED, role: str = "present") -> dict[str, Any]:
    return {
        "postgres_schema_roles": [{**ROLE, "state": role}],
        "postgres_schema_databases": list(databases),
        "postgres_schema_confirm_drop": list(confirm),
    }


def gone(confirm: Sequence[str] = CONFIRMED, **dumps: str) -> dict[str, Any]:
    """All of it is to go, the dumps at these places."""
    trial = {**TRIAL, "state": "absent", "dump": dumps.get("trial")}
    survey = {"name": "survey", "state": "absent", "dump": dumps.get("system")}
    return described(trial, {**SURVEY, "connect": [], "schemas": [survey]}, confirm=confirm, role="absent")


def on_client(script: str, data: bytes = b"") -> None:
    subprocess.run(["docker", "exec", "--interactive", CLIENT, "sh", "-euc", script], input=data, check=True)


def dump(database: str, path: str, *options: str) -> None:
    """As its owner would make one, and put where the role runs."""
    command = [*ON_SERVER, "pg_dump", "--format=custom", *options, database]
    on_client(f"cat > {path}", subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.fixture(scope="module", autouse=True)
def trial() -> Iterator[None]:
    """A system on trial: a database and a schema, with a table each, and a user. On 16 and later the master is made a
    member of the roles that it makes, as some clouds do."""
    if int(superuser("SHOW server_version_num")) >= 160000:
        superuser("ALTER ROLE dbmaster SET createrole_self_grant = 'set, inherit'")
    succeeded(play("objects", **described(TRIAL, SURVEY, confirm=[])))
    made = (
        "CREATE TABLE {0}.answers (id serial PRIMARY KEY, answer text); INSERT INTO {0}.answers (answer) VALUES ('yes')"
    )
    rows("trial_user", made.format("trial"), dbname="medical_trial", password=PASSWORD)
    rows("trial_user", made.format("survey"), password=PASSWORD)
    yield
    superuser("ALTER ROLE dbmaster RESET ALL")


@pytest.fixture
def in_use() -> Iterator[None]:
    """Somebody is at work there; others need what is there; the user has a table of its own, and a right elsewhere."""
    login = {"host": MASTER["host"], "user": "trial_user", "dbname": "medical_trial", "password": PASSWORD}
    program = CLIENT_PROGRAM.replace(
        "json.load(sys.stdin)", repr({"login": login, "statements": ["SELECT pg_sleep(60)"]})
    )
    session = subprocess.Popen(["docker", "exec", CLIENT, "python3", "-c", program], stdout=subprocess.DEVNULL)
    superuser(
        "CREATE VIEW common.answers AS SELECT * FROM survey.answers;"
        "CREATE TABLE public.notes (note text); ALTER TABLE public.notes OWNER TO trial_user;"
        "GRANT EXECUTE ON FUNCTION public.show_limit() TO trial_user"
    )
    end = time.monotonic() + 10
    while superuser("SELECT count(*) FROM pg_stat_activity WHERE usename = 'trial_user'") != "1":
        assert time.monotonic() < end
        time.sleep(0.1)
    yield
    superuser(
        "DROP VIEW common.answers; DROP TABLE public.notes;"
        "REVOKE EXECUTE ON FUNCTION public.show_limit() FROM trial_user;"
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'trial_user'"
    )
    session.wait()


@pytest.mark.usefixtures("in_use")
def test_each_reason_against_it_is_told_and_nothing_is_changed() -> None:
    """In check mode as well."""
    given = gone(["database medical_trail"])
    for arguments in ((), ("--check",)):
        said = refused(play("objects", *arguments, **given))
        for sentence in (
            "confirm_drop names 'database medical_trail', but no entry has the state absent that it could mean",
            "database medical_trial: only its entry says that it is to go; add 'database medical_trial' to",
            "database medical_trial: it is dropped only after a dump; make one (pg_dump --format=custom --file=FILE",
            "database medical_trial: it is in use, by sessions: 1 of trial_user; stop what uses it",
            "schema medical_system.survey: only its entry says that it is to go; add 'schema medical_system.survey' to",
            "schema medical_system.survey: it is dropped only after a dump; make one",
            "schema medical_system.survey: other schemas need what is in it: rule _RETURN on view common.answers;",
            "role trial_user: only its entry says that it is to go; add 'role trial_user' to confirm_drop as well",
            "role trial_user: it owns table public.notes in medical_system; give that to another role",
            "role trial_user: it still has rights on function public.show_limit() in medical_system; revoke them first",
            "role trial_user: it is in use, by sessions: 1 in medical_trial; stop what uses it",
        ):
            assert sentence in said, said
    assert superuser(THERE) == "3"


def test_dump_that_is_no_help_is_refused() -> None:
    """Each schema of the database has another one."""
    cases = {
        "missing": "is missing on this host",
        "empty": "is empty; make a new one",
        "plain": "is none that pg_restore can read to its end",
        "cut": "is none that pg_restore can read to its end",
        "other": "is one of the database postgres; make one of medical_trial",
        "stale": "seconds old, 1800 at most; make a new one",
        "rowless": "does not have the rows of rowless.answers on this server; make a new one, of all of it",
        "replaced": "does not have the rows of replaced.answers on this server; make a new one, of all of it",
    }
    make = "CREATE SCHEMA {0} AUTHORIZATION medical_trial_owner; CREATE TABLE {0}.answers AS SELECT md5(i::text) FROM"
    superuser(";".join(f"{make.format(case)} generate_series(1, 5000) i" for case in cases), "medical_trial")
    dump("medical_trial", "/var/backups/whole")
    dump("medical_trial", "/var/backups/rowless", "--schema-only")
    dump("postgres", "/var/backups/other")
    superuser("DROP TABLE replaced.answers; CREATE TABLE replaced.answers (id int)", "medical_trial")
    on_client(
        "cd /var/backups; rm -f missing; : > empty; echo 'CREATE TABLE a ();' > plain; head -c 60000 whole > cut;"
        "cp whole stale; touch -d '2 hours ago' stale; cp whole replaced"
    )
    schemas = [{"name": case, "state": "absent", "dump": f"/var/backups/{case}"} for case in cases]
    confirm = [f"schema medical_trial.{case}" for case in cases]
    said = refused(play("objects", **described({**TRIAL, "schemas": schemas}, confirm=confirm)))
    for case, sentence in cases.items():
        told = [
            line for line in said.splitlines() if f"schema medical_trial.{case}: the dump /var/backups/{case} " in line
        ]
        assert told, said
        assert all(sentence in line for line in told), said
    superuser(";".join(f"DROP SCHEMA {case} CASCADE" for case in cases), "medical_trial")


def test_what_was_named_twice_and_dumped_just_now_is_dropped() -> None:
    """The whole system at once: the role holds nothing any more when its turn comes."""
    dump("medical_trial", TRIAL_DUMP)
    dump("medical_system", SYSTEM_DUMP)
    given = gone(trial=TRIAL_DUMP, system=SYSTEM_DUMP)
    predicted = succeeded(play("objects", "--check", "--diff", **given))
    for statement in ("DROP DATABASE medical_trial", "DROP SCHEMA survey CASCADE", "DROP ROLE trial_user"):
        assert statement in predicted
    assert superuser(THERE) == "3"
    said = succeeded(play("objects", "--diff", **given))
    assert "DROP DATABASE medical_trial" in said
    assert superuser(THERE) == "0"
    assert "changed=0" in succeeded(play("objects", **given)), "nor does it ask for dumps of what is gone"


def test_all_else_is_as_it_was() -> None:
    assert "changed=0" in succeeded(play("converge"))
    for user in PASSWORDS:
        rows(user, "SELECT 1")
