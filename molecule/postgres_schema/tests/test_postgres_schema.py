"""What the users of the database may do and what they may not, tried as they would (S1.7, S2.7)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.molecule.shared.playbook import ansible_playbook, run_playbook

SCENARIO = Path(__file__).parents[1]
CLIENT, SERVER = "minato-postgres_schema", "minato-postgres_schema-db"
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
PSQL = ["docker", "exec", "--interactive", SERVER, *AS_POSTGRES, "psql", "medical_system"]
WANTED = yaml.safe_load((SCENARIO / "vars.yml").read_text(encoding="utf-8"))
MASTER = WANTED["postgres_schema_server"]
APP_PASSWORD = "App-User-Passw0rd"
PASSWORDS = {
    **{role["name"]: role["password"] for role in WANTED["postgres_schema_roles"]},
    "app_user": APP_PASSWORD,
    MASTER["user"]: MASTER["password"],
}
CLIENT_PROGRAM = """
import json, sys
import psycopg2
given = json.load(sys.stdin)
try:
    connection = psycopg2.connect(**given["login"])
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(given["sql"])
    rows = cursor.fetchall() if cursor.description else []
    print(json.dumps({"rows": rows, "error": ""}, default=str))
except psycopg2.Error as error:
    print(json.dumps({"rows": [], "error": str(error)}))
"""


def ask(user: str, sql: str, **login: str) -> dict[str, Any]:
    """Run SQL as this user from the client: {"rows": [[...]], "error": ""}. The password travels in the environment."""
    given = {
        "host": MASTER["host"],
        "user": user,
        "dbname": "medical_system",
        "sslmode": "verify-full",
        "sslrootcert": MASTER["ca_file"],
        **login,
    }
    password = given.pop("password", PASSWORDS[user])
    command = ["docker", "exec", "--interactive", "--env", "PGPASSWORD", CLIENT, "python3", "-c", CLIENT_PROGRAM]
    program = json.dumps({"login": given, "sql": sql})
    answer = subprocess.run(
        command, input=program, env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def rows(user: str, sql: str, **login: str) -> list[list[Any]]:
    found = ask(user, sql, **login)
    assert not found["error"]
    answer: list[list[Any]] = found["rows"]
    return answer


def superuser(sql: str) -> str:
    """What only the owner of the machine can see or break: PostgreSQL's own superuser, on the server itself."""
    command = [*PSQL, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]
    return subprocess.run(command, input=sql, capture_output=True, text=True, check=True).stdout.strip()


def converge(*arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """The scenario's own playbook once more, with other variables: the role, the migrations, the indexes."""
    return run_playbook(SCENARIO / "converge.yml", *arguments, **variables)


def succeeded(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 0, run.stdout
    return run.stdout


def loans() -> str:
    return superuser(
        "SELECT string_agg(roleid::regrole::text, ',') FROM pg_auth_members"
        " WHERE member = 'dbmaster'::regrole AND grantor = member AND roleid::regrole::text !~ '^pg_'"
    )


@pytest.fixture
def later() -> Iterator[None]:
    """A table that the migrator makes after all grants were made."""
    rows("medical_migrator", "CREATE TABLE later (id serial PRIMARY KEY, note text)")
    yield
    rows("medical_migrator", "DROP TABLE later")


@pytest.mark.usefixtures("later")
def test_app_user_reads_and_writes_tables_made_after_the_grants() -> None:
    """S1.7: default privileges, not a grant that forgets the next migration."""
    assert rows("app_user", "INSERT INTO later (note) VALUES ('a') RETURNING id") == [[1]]
    rows("app_user", "UPDATE later SET note = 'b' WHERE id = 1")
    assert rows("app_user", "SELECT note FROM later") == [["b"]]
    rows("app_user", "DELETE FROM later")
    assert rows("report_user", "SELECT count(*) FROM medical.later") == [[0]]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "DROP TABLE staff",
        "TRUNCATE staff CASCADE",
        "ALTER TABLE staff ADD COLUMN salary int",
        "CREATE ROLE mine",
    ],
)
def test_app_user_changes_no_structure(sql: str) -> None:
    """S1.7: GRANT ALL is not minimal."""
    assert re.search("permission denied|must be owner", ask("app_user", sql)["error"])


def test_report_user_only_reads() -> None:
    assert rows("report_user", "SELECT count(*) FROM medical.staff") == [[0]]
    assert "permission denied" in ask("report_user", "INSERT INTO medical.staff (name) VALUES ('x')")["error"]


@pytest.mark.parametrize(
    ("user", "table"),
    [
        ("app_user", "social.posts"),
        ("medical_migrator", "social.posts"),
        ("social_user", "medical.staff"),
        ("social_migrator", "medical.staff"),
        ("common_migrator", "medical.staff"),
    ],
)
def test_no_system_touches_the_other_ones_schema(user: str, table: str) -> None:
    """S2.7"""
    assert "permission denied for schema" in ask(user, f"SELECT * FROM {table}")["error"]
    assert "permission denied for schema" in ask(user, f"CREATE TABLE {table}_copy (id int)")["error"]


@pytest.mark.parametrize("user", ["app_user", "social_user"])
def test_both_systems_write_what_they_share(user: str) -> None:
    """S2.7; `users` is found on the search path."""
    rows(user, "INSERT INTO users (mail) VALUES ('a@medical.test'); DELETE FROM users")


def test_nobody_else_may_connect() -> None:
    asked = "SELECT has_database_privilege('public', 'medical_system', door) FROM unnest(ARRAY['CONNECT', 'TEMP']) door"
    assert superuser(asked).split() == ["f", "f"]


@pytest.mark.parametrize(
    ("login", "said"),
    [
        ({"sslmode": "disable"}, "no pg_hba.conf entry"),
        ({"sslrootcert": "/etc/ssl/certs/ca-certificates.crt"}, "certificate verify failed"),
        ({"host": SERVER}, "does not match host name"),
        ({"password": "wrong"}, "password authentication failed"),
    ],
)
def test_server_is_reached_over_verified_tls_only(login: dict[str, str], said: str) -> None:
    assert said in ask("app_user", "SELECT 1", **login)["error"]


def test_passwords_are_stored_as_scram() -> None:
    stored = superuser("SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$4096:%' ORDER BY 1").split()
    assert stored == sorted(PASSWORDS)


def test_every_password_works() -> None:
    """Quotes and Japanese ones too."""
    for user in PASSWORDS:
        assert rows(user, "SELECT current_user") == [[user]]


def test_indexes_are_there_as_described() -> None:
    """S1.7"""
    found = superuser(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'medical' AND indexname !~ '_pkey$' ORDER BY 1"
    )
    assert found.splitlines() == [
        "CREATE INDEX evaluations_evaluation_period ON medical.evaluations USING btree (evaluation_period)",
        "CREATE INDEX interviews_interview_date ON medical.interviews USING btree (interview_date)",
        "CREATE INDEX staff_active ON medical.staff USING btree (active) WHERE (active = true)",
    ]


def test_database_is_utf8_and_belongs_to_a_role_that_cannot_log_in() -> None:
    asked = (
        "SELECT rolname, rolcanlogin, pg_encoding_to_char(encoding) FROM pg_database JOIN pg_roles r ON datdba = r.oid"
        " WHERE datname = 'medical_system'"
    )
    assert superuser(asked) == "medical_system_owner|f|UTF8"


def test_second_run_changes_nothing_and_asks_little() -> None:
    """Two queries for the server, four for the database, two for its indexes; a login per password."""
    said = succeeded(converge("-v"))
    assert "changed=0" in said
    queries = [int(found) for found in re.findall(r'"queries": (\d+)', said)]
    logins = [int(found) for found in re.findall(r'"logins": (\d+)', said)]
    assert (queries, logins) == ([6, 4], [2 + len(WANTED["postgres_schema_roles"]), 2])


def test_master_keeps_no_right_that_it_borrowed() -> None:
    assert loans() == ""
    assert "permission denied" in ask(MASTER["user"], "SELECT * FROM medical.staff")["error"]


def test_invalid_index_is_made_again() -> None:
    superuser("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'medical.staff_active'::regclass")
    said = succeeded(converge("--diff"))
    assert "DROP INDEX CONCURRENTLY medical.staff_active" in said
    assert superuser("SELECT indisvalid FROM pg_index WHERE indexrelid = 'medical.staff_active'::regclass") == "t"
    test_indexes_are_there_as_described()


def test_run_that_was_killed_is_finished_by_the_next() -> None:
    """Killed in the middle of CREATE INDEX CONCURRENTLY, it leaves half an index and a borrowed right."""
    superuser("DROP INDEX medical.staff_active")
    blocker = subprocess.Popen(
        [*PSQL, "--command", "BEGIN; INSERT INTO medical.staff (name) VALUES ('x'); SELECT pg_sleep(60)"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    waiting = "SELECT count(*) FROM pg_stat_progress_create_index"
    killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'minato.fleet.%'"
    run = subprocess.Popen(
        ansible_playbook(SCENARIO / "converge.yml"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        end = time.monotonic() + 30
        while superuser(waiting) != "1":
            assert time.monotonic() < end
            time.sleep(0.2)
        superuser(killed)
        said = " ".join(run.communicate(timeout=30)[0].split())
        assert run.returncode != 0
        assert "CREATE INDEX CONCURRENTLY staff_active" in said, said
    finally:
        superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; INSERT%'")
        blocker.wait()
    assert superuser("SELECT indisvalid FROM pg_index WHERE indexrelid = 'medical.staff_active'::regclass") == "f"
    assert loans() == "medical_migrator"
    succeeded(converge())
    assert loans() == ""
    test_indexes_are_there_as_described()


def test_drift_is_put_right_and_what_others_made_is_left_alone() -> None:
    superuser(
        "ALTER DATABASE medical_system OWNER TO postgres; ALTER DATABASE medical_system OWNER TO dbmaster;"
        "REVOKE ALL ON ALL TABLES IN SCHEMA medical FROM app_user; REVOKE USAGE ON SCHEMA medical FROM app_user;"
        "GRANT USAGE ON SCHEMA social TO app_user; GRANT CREATE ON SCHEMA public TO PUBLIC;"
        "ALTER ROLE app_user IN DATABASE medical_system RESET search_path; ALTER ROLE report_user NOLOGIN;"
        "CREATE ROLE visitor; GRANT SELECT ON medical.staff TO visitor;"
        "CREATE SCHEMA workshop; CREATE TABLE workshop.bench ()"
    )
    try:
        predicted = succeeded(converge("--check", "--diff"))
        assert (
            "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE medical.evaluations, medical.interviews, medical.staff"
            in predicted
        )
        assert ask("app_user", "SELECT * FROM medical.staff")["error"], "check mode must not change anything"
        succeeded(converge())
        test_both_systems_write_what_they_share("app_user")
        test_report_user_only_reads()
        test_no_system_touches_the_other_ones_schema("app_user", "social.posts")
        test_database_is_utf8_and_belongs_to_a_role_that_cannot_log_in()
        assert superuser("SELECT has_schema_privilege('public', 'public', 'CREATE')") == "f"
        assert superuser("SELECT has_table_privilege('visitor', 'medical.staff', 'SELECT')") == "t"
        assert superuser("SELECT count(*) FROM workshop.bench") == "0"
    finally:
        superuser("DROP SCHEMA workshop CASCADE; REVOKE ALL ON medical.staff FROM visitor; DROP ROLE visitor")


def test_new_password_is_set_and_no_password_is_seen_anywhere() -> None:
    """Neither in Ansible's output at any verbosity, nor in the server's log, nor in a journal. No process list has it
    either: there is no client program to pass it to."""
    new = "Another-Passw0rd-for-app"
    predicted = succeeded(converge("--check", "--diff", "-vvv", app_user_password=new))
    assert rows("app_user", "SELECT 1")
    said = succeeded(converge("--diff", "-vvv", app_user_password=new))
    assert "ALTER ROLE app_user PASSWORD '********'" in said
    assert "password authentication failed" in ask("app_user", "SELECT 1")["error"]
    assert rows("app_user", "SELECT 1", password=new)
    back = succeeded(converge("-vvv"))
    assert rows("app_user", "SELECT 1")
    log = subprocess.run(
        ["docker", "exec", SERVER, "sh", "-c", "cat /var/log/postgresql/*.log; journalctl --no-pager"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "ALTER ROLE" in log, "the server logs such statements"
    journal = subprocess.run(
        ["docker", "exec", CLIENT, "journalctl", "--no-pager"], capture_output=True, text=True, check=True
    )
    # The extra variable of this test is on its own command line, which -vvv does not repeat.
    for place in (predicted, said, back, log, journal.stdout):
        for secret in (*PASSWORDS.values(), new):
            assert secret not in place


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"password": "wrong"}, "the password of that user is not login_password"),
        ({"port": 5433}, "nothing listens there; check the port"),
        ({"ca_file": "/etc/ssl/certs/ca-certificates.crt"}, "is not signed by the authority in ca_cert"),
        ({"user": "app_user", "password": APP_PASSWORD}, "permission denied to create role"),
    ],
)
def test_refusal_says_what_to_do(server: dict[str, Any], said: str) -> None:
    roles = [*WANTED["postgres_schema_roles"], {"name": "extra_user"}]
    run = converge(postgres_schema_server={**MASTER, **server}, postgres_schema_roles=roles)
    assert run.returncode != 0
    assert said in run.stdout, run.stdout


def test_missing_table_is_named_before_anything_is_done() -> None:
    databases = json.loads(json.dumps(WANTED["postgres_schema_databases"]))
    databases[0]["indexes"].append({"name": "leave_day", "schema": "medical", "table": "leave", "columns": ["day"]})
    run = converge(postgres_schema_databases=databases)
    assert "there is no table medical.leave; have the migrations been run?" in run.stdout
    predicted = succeeded(converge("--check", "--diff", postgres_schema_databases=databases))
    assert "CREATE INDEX CONCURRENTLY leave_day ON medical.leave (day)" in predicted
