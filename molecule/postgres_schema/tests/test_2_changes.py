"""What further runs do: nothing, what is missing, or a refusal in one sentence."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.postgres_schema.tests.database import (
    CLIENT,
    MASTER,
    ON_SERVER,
    PASSWORDS,
    SCENARIO,
    SERVER,
    VAULT,
    WANTED,
    ask,
    play,
    refused,
    rows,
    server_log,
    succeeded,
    superuser,
)
from ansible_collections.minato.fleet.molecule.shared.playbook import ansible_playbook, run_playbook

INDEXES = "SELECT indexname FROM pg_indexes WHERE schemaname = 'medical' AND indexname !~ '_pkey$' ORDER BY 1"


def described() -> dict[str, Any]:
    """What is wanted of the one database, to be changed."""
    database: dict[str, Any] = json.loads(json.dumps(WANTED["postgres_schema_databases"][0]))
    return database


def indexes() -> list[str]:
    wanted = described()["indexes"]
    return sorted(index["name"] for index in wanted if index.get("state") != "absent")


def valid(index: str) -> str:
    return superuser(f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('medical.{index}')")


def loans() -> str:
    return superuser(
        "SELECT string_agg(roleid::regrole::text, ',') FROM pg_auth_members"
        " WHERE member = 'dbmaster'::regrole AND grantor = member AND roleid::regrole::text !~ '^pg_'"
    )


def test_second_run_changes_nothing_and_asks_little() -> None:
    """Two queries for the server, four for the database, two for its indexes; a login per password. The server itself
    counts the same, and nothing beside them."""
    superuser("ALTER ROLE dbmaster SET log_statement = 'all'")
    before = server_log().count("dbmaster@")
    said = succeeded(play("converge", "-v"))
    lines = [line for line in server_log().splitlines() if "dbmaster@" in line][before:]
    superuser("ALTER ROLE dbmaster RESET log_statement")
    assert "changed=0" in said
    queries = [int(found) for found in re.findall(r'"queries": (\d+)', said)]
    logins = [int(found) for found in re.findall(r'"logins": (\d+)', said)]
    assert (queries, logins) == ([6, 4], [1 + len(PASSWORDS), 2])
    assert sum("LOG:  statement: " in line for line in lines) == sum(queries)


def test_invalid_index_is_made_again_and_the_absent_one_goes() -> None:
    """One that PostgreSQL itself left half-made: a unique index over values that are not."""
    rows("medical_migrator", "INSERT INTO staff (name) VALUES ('x'), ('y'); DROP INDEX staff_active")
    made = "CREATE UNIQUE INDEX CONCURRENTLY staff_active ON staff (active)"
    assert "could not create unique index" in ask("medical_migrator", made)["error"]
    rows("medical_migrator", "CREATE INDEX evaluations_period ON evaluations (evaluation_period)")
    assert valid("staff_active") == "f"
    said = succeeded(play("indexes", "--diff"))
    assert "DROP INDEX CONCURRENTLY medical.staff_active" in said
    assert valid("staff_active") == "t"
    assert superuser(INDEXES).split() == indexes()
    rows("medical_migrator", "TRUNCATE staff CASCADE")


def test_unique_index_over_equal_values_is_refused_and_leaves_nothing() -> None:
    """Half-made, it would turn rows away all the same. Nor are the values told: they are people's."""
    rows("medical_migrator", "DROP INDEX staff_mail")
    rows("medical_migrator", "INSERT INTO staff (name, mail) VALUES ('x', 'A@b.test'), ('y', 'a@b.test')")
    said = refused(play("indexes"))
    assert "rows of medical.staff have the same values there; find them with SELECT lower(mail), count(*)" in said
    assert "a@b.test" not in said
    assert valid("staff_mail") == ""
    assert loans() == ""
    rows("medical_migrator", "TRUNCATE staff CASCADE")
    succeeded(play("indexes"))
    assert valid("staff_mail") == "t"


def test_run_that_was_killed_is_finished_by_the_next() -> None:
    """Killed in the middle of CREATE INDEX CONCURRENTLY, it leaves half an index and a borrowed right."""
    superuser("DROP INDEX medical.staff_active")
    blocking = "BEGIN; INSERT INTO medical.staff (name) VALUES ('x'); SELECT pg_sleep(60)"
    blocker = subprocess.Popen(
        [*ON_SERVER, "psql", "medical_system", "--command", blocking],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    waiting = "SELECT count(*) FROM pg_stat_progress_create_index"
    killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'minato.fleet.%'"
    run = subprocess.Popen(
        ansible_playbook(SCENARIO / "indexes.yml"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
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
    assert valid("staff_active") == "f"
    assert loans() == "medical_migrator"
    succeeded(play("indexes"))
    assert loans() == ""
    assert valid("staff_active") == "t"


def test_drift_is_put_right_and_what_others_made_is_left_alone() -> None:
    superuser(
        "ALTER DATABASE medical_system OWNER TO postgres; ALTER DATABASE medical_system OWNER TO dbmaster;"
        "REVOKE ALL ON ALL TABLES IN SCHEMA medical FROM app_user; REVOKE USAGE ON SCHEMA medical FROM app_user;"
        "GRANT USAGE ON SCHEMA social TO app_user; GRANT CREATE ON SCHEMA public TO PUBLIC;"
        "GRANT CREATE, TEMPORARY ON DATABASE medical_system TO app_user;"
        "ALTER ROLE app_user IN DATABASE medical_system RESET search_path; ALTER ROLE report_user NOLOGIN;"
        "ALTER ROLE common_migrator IN DATABASE medical_system RESET role;"
        "CREATE ROLE visitor; GRANT SELECT ON medical.staff TO visitor;"
        "CREATE SCHEMA workshop; CREATE TABLE workshop.bench ()"
    )
    # A member of an owner has all of its rights, so a declared one must not be. Grants of others are theirs to revoke.
    superuser(
        "GRANT social_migrator TO dbmaster WITH ADMIN OPTION; SET ROLE dbmaster; GRANT social_migrator TO report_user"
    )
    try:
        predicted = succeeded(play("objects", "--check", "--diff"))
        assert (
            "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE medical.evaluations, medical.interviews, medical.staff"
            in predicted
        )
        assert ask("app_user", "SELECT * FROM medical.staff")["error"], "check mode must not change anything"
        succeeded(play("objects"))
        rows("app_user", "SELECT * FROM staff; SELECT * FROM users")
        rows("report_user", "SELECT * FROM medical.staff")
        assert "permission denied" in ask("app_user", "SELECT * FROM social.posts")["error"]
        assert "permission denied" in ask("report_user", "SELECT * FROM social.posts")["error"]
        assert "permission denied" in ask("app_user", "CREATE TEMPORARY TABLE mine (id int)")["error"]
        assert rows("common_migrator", "SELECT current_user") == [["common_owner"]]
        asked = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'medical_system'"
        assert superuser(asked) == "medical_system_owner"
        assert superuser("SELECT has_schema_privilege('public', 'public', 'CREATE')") == "f"
        assert superuser("SELECT has_table_privilege('visitor', 'medical.staff', 'SELECT')") == "t"
        assert superuser("SELECT count(*) FROM workshop.bench") == "0"
    finally:
        superuser("DROP SCHEMA workshop CASCADE; REVOKE ALL ON medical.staff FROM visitor; DROP ROLE visitor")


def test_new_password_is_set_and_no_password_is_seen_anywhere(tmp_path: Path) -> None:
    """Neither in Ansible's output at any verbosity, nor in the server's log, nor in a journal. No process list has it
    either: there is no client program to pass it to."""
    new = "Another-Passw0rd-for-app"
    given = tmp_path / "new.yml"
    given.write_text(json.dumps({"vault_app_user": new}), encoding="utf-8")
    predicted = succeeded(play("objects", "--check", "--diff", "-vvvv", "--extra-vars", f"@{given}"))
    assert rows("app_user", "SELECT 1")
    said = succeeded(play("objects", "--diff", "-vvvv", "--extra-vars", f"@{given}"))
    assert "ALTER ROLE app_user PASSWORD '********'" in said
    assert "password authentication failed" in ask("app_user", "SELECT 1")["error"]
    assert rows("app_user", "SELECT 1", password=new)
    back = succeeded(play("objects", "-vvvv"))
    assert rows("app_user", "SELECT 1")
    log = server_log()
    assert "ALTER ROLE" in log, "the server logs such statements"
    journals = [
        subprocess.run(["docker", "exec", host, "journalctl", "--no-pager"], capture_output=True, text=True, check=True)
        for host in (CLIENT, SERVER)
    ]
    for place in (predicted, said, back, log, *(journal.stdout for journal in journals)):
        for secret in (*PASSWORDS.values(), new):
            assert secret not in place


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What is said to each description that cannot work, by its name: one run, the client being in it once for each."""
    superuser("CREATE ROLE cloud_owner; GRANT cloud_owner TO dbmaster WITH ADMIN OPTION")
    superuser("CREATE DATABASE cloud OWNER cloud_owner")
    superuser("ALTER DATABASE cloud SET rds.allowed_extensions = 'pg_trgm, dblink'")
    hosts: dict[str, Any] = {
        name: {
            "postgres_schema_server": {**MASTER, **server},
            "postgres_schema_roles": [*WANTED["postgres_schema_roles"], {"name": "extra_user"}],
            "postgres_schema_confirm_drop": ["role trial_user"],
        }
        for name, server in {
            "password": {"password": "wrong"},
            "port": {"port": 5433},
            "name": {"host": "db.nowhere.test"},
            "certificate": {"host": SERVER},
            "authority": {"ca_file": "/etc/ssl/certs/ca-certificates.crt"},
            "master": {"user": "app_user", "password": VAULT["vault_app_user"]},
        }.items()
    }
    extensions = {"extensions": ["dblink", "citext", "rocket"]}
    cloud = {"name": "cloud", "owner": "cloud_owner"}
    for name, databases in {
        "extension": [{**described(), **extensions}, {"name": "extra", "owner": "extra_owner", **extensions}],
        "list": [{**cloud, "extensions": ["dblink", "citext"]}],
        "listed": [{**cloud, "extensions": ["dblink"]}],
    }.items():
        roles = WANTED["postgres_schema_roles"][:-1] if name == "extension" else []
        hosts[name] = {"postgres_schema_roles": roles, "postgres_schema_databases": databases}
        hosts[name]["postgres_schema_server"] = MASTER
    everywhere = {
        **VAULT,
        "ansible_host": CLIENT,
        "ansible_connection": "community.docker.docker",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    place = tmp_path_factory.mktemp("refused")
    inventory, playbook = place / "hosts.yml", place / "play.yml"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": everywhere}}), encoding="utf-8")
    play = {"hosts": "all", "gather_facts": False, "roles": ["minato.fleet.postgres_schema"]}
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    said = refused(run_playbook(playbook, "--forks", "3", inventory=str(inventory)))
    yield {name: "".join(re.findall(rf"(?ms)^fatal: \[{name}\].*?\}}$", said)) for name in hosts}
    superuser("DROP DATABASE cloud")
    superuser("DROP ROLE cloud_owner")


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("password", "the password of that user is not login_password"),
        ("port", "nothing listens there; check the port"),
        ("name", "that name does not resolve on this host; check the spelling and its DNS"),
        ("certificate", "its certificate is for another name; use the name that it carries as login_host"),
        ("authority", "is not signed by the authority in ca_cert"),
        ("master", "permission denied to create role"),
        (
            "extension",
            "database medical_system, extension dblink: only a superuser may make it here, and dbmaster is none",
        ),
        ("extension", "database medical_system, extension rocket: the server does not have it"),
        ("extension", "database extra, extension dblink: only a superuser may make it here, and dbmaster is none"),
        ("extension", "database extra, extension rocket: the server does not have it"),
        ("list", "extension citext: the server's parameter rds.allowed_extensions does not list it"),
        ("listed", "CREATE EXTENSION dblink SCHEMA public (extension dblink is missing) failed: the server lets only"),
    ],
)
def test_refusal_says_what_to_do(told: dict[str, str], case: str, said: str) -> None:
    assert said in told[case]


def test_refusal_is_of_nothing_else_and_before_anything_is_done(told: dict[str, str]) -> None:
    """An extension that is trusted is no trouble, nor is one that the cloud lists."""
    assert "citext" not in told["extension"]
    assert "dblink" not in told["list"]
    assert superuser("SELECT count(*) FROM pg_database WHERE datname = 'extra'") == "0"
    assert superuser("SELECT count(*) FROM pg_roles WHERE rolname IN ('extra_user', 'extra_owner')") == "0"


def test_missing_table_is_named_before_anything_is_done() -> None:
    """As is an index that was not confirmed to go."""
    database = described()
    database["indexes"].append({"name": "leave_day", "schema": "medical", "table": "leave", "columns": ["day"]})
    database["indexes"].append({**database["indexes"][0], "state": "absent"})
    del database["indexes"][0]
    given = {"postgres_schema_databases": [database], "postgres_schema_confirm_drop": ["role trial_user"]}
    said = refused(play("indexes", **given))
    assert "there is no table medical.leave; have the migrations been run?" in said
    index = "index medical_system.medical.staff_active"
    assert f"{index}: only its entry says that it is to go; add '{index}' to confirm_drop as well" in said
    assert superuser(INDEXES).split() == indexes()
    predicted = succeeded(play("indexes", "--check", "--diff", **{**given, "postgres_schema_confirm_drop": [index]}))
    assert "CREATE INDEX CONCURRENTLY leave_day ON medical.leave (day)" in predicted
    assert "DROP INDEX CONCURRENTLY medical.staff_active" in predicted
    assert superuser(INDEXES).split() == indexes()
