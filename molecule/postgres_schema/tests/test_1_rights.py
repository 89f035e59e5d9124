"""What the users of the database may do and what they may not, tried as they would (S1.7, S2.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from ansible_collections.minato.fleet.molecule.postgres_schema.tests.database import (
    MASTER,
    PASSWORDS,
    SERVER,
    ask,
    ask_all,
    play,
    rows,
    server_log,
    succeeded,
    superuser,
)

# In the schema `common`, where each preset is granted to somebody; {table} and the like stand for what was made before
# and after the grant.
MAY = {
    "report_user": [
        "SELECT * FROM {table}",
        "SELECT last_value FROM {sequence}",
        "SELECT {function}(2)",
        "SELECT 'good'::{type}",
    ],
    "app_user": [
        "INSERT INTO {table} (mail) VALUES ('a@medical.test')",
        "UPDATE {table} SET mail = 'b@medical.test'",
        "SELECT * FROM {table}",
        "DELETE FROM {table}",
        "SELECT nextval('{sequence}')",
        "SELECT {function}(2)",
        "SELECT 'good'::{type}",
    ],
    "common_migrator": [
        "ALTER TABLE {table} ADD COLUMN phone text",
        "CREATE INDEX by_phone ON {table} (phone)",
        "ALTER TABLE {table} DROP COLUMN phone",
        "INSERT INTO {table} (mail) VALUES ('a@medical.test')",
        "TRUNCATE {table}",
        "SELECT setval('{sequence}', 7)",
        "CREATE OR REPLACE FUNCTION {function}(a int) RETURNS int LANGUAGE sql AS 'SELECT a * 2'",
        "ALTER TYPE {type} ADD VALUE IF NOT EXISTS 'fair'",
        "CREATE TABLE common.another (id int)",
        "DROP TABLE common.another",
    ],
}
STRUCTURE = [
    "ALTER TABLE {table} ADD COLUMN phone text",
    "CREATE INDEX by_phone ON {table} (mail)",
    "TRUNCATE {table}",
    "DROP TABLE {table}",
    "SELECT setval('{sequence}', 7)",
    "CREATE OR REPLACE FUNCTION {function}(a int) RETURNS int LANGUAGE sql AS 'SELECT 0'",
    "DROP FUNCTION {function}",
    "ALTER TYPE {type} ADD VALUE 'poor'",
    "CREATE TABLE common.mine (id int)",
    "CREATE TABLE public.mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "SET ROLE common_owner",
]
MAY_NOT = {
    "report_user": [
        "INSERT INTO {table} (mail) VALUES ('a@medical.test')",
        "UPDATE {table} SET mail = ''",
        "DELETE FROM {table}",
        "SELECT nextval('{sequence}')",
        *STRUCTURE,
    ],
    "app_user": STRUCTURE,
    "common_migrator": [
        "SELECT * FROM medical.staff",
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "DROP DATABASE medical_system",
        "GRANT common_owner TO app_user",
    ],
}
DENIED = re.compile(r"permission denied|must be (able to|owner|member|superuser)|must have")


def things(when: str) -> dict[str, str]:
    names = {"table": "people", "sequence": "numbers", "function": "twice", "type": "mood"}
    return {kind: f"common.{name}_{when}" for kind, name in names.items()}


def made(when: str) -> str:
    return (
        "CREATE TABLE {table} (id serial PRIMARY KEY, mail text); CREATE SEQUENCE {sequence};"
        "CREATE FUNCTION {function}(a int) RETURNS int LANGUAGE sql AS 'SELECT a + a';"
        "CREATE TYPE {type} AS ENUM ('good')"
    ).format(**things(when))


@pytest.fixture(scope="module", autouse=True)
def made_before_and_after() -> Iterator[None]:
    """The same things twice: made by a stranger before the grants, and by the migrator after them."""
    superuser(
        "CREATE ROLE visitor; GRANT visitor TO dbmaster WITH ADMIN OPTION;"
        "GRANT CREATE, USAGE ON SCHEMA common TO visitor;"
        f"SET ROLE visitor; {made('before')}"
    )
    succeeded(play("objects"))
    rows("common_migrator", made("after"))
    yield
    for when in ("before", "after"):
        superuser("DROP TABLE {table}; DROP SEQUENCE {sequence}; DROP TYPE {type}".format(**things(when)))
        superuser("DROP FUNCTION {function}".format(**things(when)))
    superuser("DROP OWNED BY visitor; DROP ROLE visitor")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("user", list(MAY))
def test_preset_allows_what_it_says(user: str, when: str) -> None:
    """S1.7: default privileges, not a grant that forgets the next migration."""
    statements = [sql.format(**things(when)) for sql in MAY[user]]
    errors = [answer["error"] for answer in ask_all(user, statements)]
    assert dict(zip(statements, errors, strict=True)) == dict.fromkeys(statements, "")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("user", list(MAY_NOT))
def test_preset_allows_nothing_else(user: str, when: str) -> None:
    """S1.7: GRANT ALL is not minimal."""
    statements = [sql.format(**things(when)) for sql in MAY_NOT[user]]
    errors = [answer["error"] for answer in ask_all(user, statements)]
    assert [(sql, error) for sql, error in zip(statements, errors, strict=True) if not DENIED.search(error)] == []


def test_owner_owns_what_strangers_and_migrators_made() -> None:
    """And it cannot log in, so that nothing is done in its name but by its migrators."""
    owners = superuser(
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'common'::regnamespace"
        " UNION SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'common'::regnamespace"
        " UNION SELECT pg_get_userbyid(typowner) FROM pg_type WHERE typnamespace = 'common'::regnamespace"
    )
    assert owners == "common_owner"
    assert superuser("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'common_owner'") == "f"
    assert rows("common_migrator", "SELECT session_user, current_user") == [["common_migrator", "common_owner"]]


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
    tried = ask_all(user, [f"SELECT * FROM {table}", f"CREATE TABLE {table}_copy (id int)"])
    assert ["permission denied for schema" in answer["error"] for answer in tried] == [True, True]


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
        assert rows(user, "SELECT session_user") == [[user]]


def test_indexes_are_there_as_described() -> None:
    """S1.7"""
    found = superuser(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'medical' AND indexname !~ '_pkey$' ORDER BY indexname"
    )
    descending = "USING btree (interview_date DESC) INCLUDE (staff_id)"
    assert found.splitlines() == [
        "CREATE INDEX evaluations_evaluation_period ON medical.evaluations USING btree (evaluation_period)",
        f"CREATE INDEX interviews_interview_date ON medical.interviews {descending}",
        "CREATE INDEX staff_active ON medical.staff USING btree (active) WHERE (active = true)",
        "CREATE UNIQUE INDEX staff_mail ON medical.staff USING btree (lower(mail))",
        "CREATE INDEX staff_name ON medical.staff USING gin (name gin_trgm_ops)",
    ]


def test_database_is_utf8_and_belongs_to_a_role_that_cannot_log_in() -> None:
    asked = (
        "SELECT rolname, rolcanlogin, pg_encoding_to_char(encoding) FROM pg_database JOIN pg_roles r ON datdba = r.oid"
        " WHERE datname = 'medical_system'"
    )
    assert superuser(asked) == "medical_system_owner|f|UTF8"


def test_no_superuser_has_had_a_hand_in_it() -> None:
    """The master is none, and none ever came in over the network."""
    asked = "SELECT rolsuper, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = 'dbmaster'"
    assert superuser(asked) == "f|f|f"
    came = set(re.findall(r"connection authorized: user=(\S+) .*SSL enabled", server_log()))
    assert MASTER["user"] in came
    assert came.isdisjoint(superuser("SELECT rolname FROM pg_roles WHERE rolsuper").split())


def test_master_keeps_no_right_that_it_borrowed() -> None:
    granted = (
        "SELECT count(*) FROM pg_auth_members WHERE member = 'dbmaster'::regrole AND grantor = member"
        " AND roleid::regrole::text !~ '^pg_'"
    )
    assert superuser(granted) == "0"
    assert "permission denied" in ask(MASTER["user"], "SELECT * FROM medical.staff")["error"]
