"""How the tests look at the server: as its users do, from the client, and as the superuser that nobody else is.

Import it as ansible_collections.minato.fleet.molecule.postgres_schema.tests.database.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook

SCENARIO = Path(__file__).parents[1]
CLIENT, SERVER = "minato-postgres_schema", "minato-postgres_schema-db"
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
ON_SERVER = ["docker", "exec", "--interactive", SERVER, *AS_POSTGRES]
WANTED = yaml.safe_load((SCENARIO / "vars.yml").read_text(encoding="utf-8"))
VAULT = yaml.safe_load((SCENARIO / "group_vars/all.yml").read_text(encoding="utf-8"))
MASTER = {**WANTED["postgres_schema_server"], "password": VAULT["vault_dbmaster"]}
PASSWORDS = {name.removeprefix("vault_"): password for name, password in VAULT.items()}
CLIENT_PROGRAM = """
import json, sys
import psycopg2
given = json.load(sys.stdin)
answers = []
try:
    connection = psycopg2.connect(**given["login"])
except psycopg2.Error as error:
    answers = [{"rows": [], "error": str(error)} for sql in given["statements"]]
else:
    connection.autocommit = True
    cursor = connection.cursor()
    for sql in given["statements"]:
        try:
            cursor.execute(sql)
            answers.append({"rows": cursor.fetchall() if cursor.description else [], "error": ""})
        except psycopg2.Error as error:
            answers.append({"rows": [], "error": str(error)})
print(json.dumps(answers, default=str))
"""


def ask_all(user: str, statements: list[str], **login: str) -> list[dict[str, Any]]:
    """Run SQL as this user from the client, in one session: {"rows": [[...]], "error": ""} for each statement.

    The password travels in the environment.
    """
    given = {
        "host": MASTER["host"],
        "user": user,
        "dbname": "medical_system",
        "sslmode": "verify-full",
        "sslrootcert": MASTER["ca_file"],
        **login,
    }
    password = given.pop("password", PASSWORDS.get(user, ""))
    command = ["docker", "exec", "--interactive", "--env", "PGPASSWORD", CLIENT, "python3", "-c", CLIENT_PROGRAM]
    program = json.dumps({"login": given, "statements": statements})
    answer = subprocess.run(
        command, input=program, env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, check=True
    )
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found


def ask(user: str, sql: str, **login: str) -> dict[str, Any]:
    return ask_all(user, [sql], **login)[0]


def rows(user: str, sql: str, **login: str) -> list[list[Any]]:
    found = ask(user, sql, **login)
    assert not found["error"]
    answer: list[list[Any]] = found["rows"]
    return answer


def superuser(sql: str, database: str = "medical_system") -> str:
    """What only the owner of the machine can see or break: PostgreSQL's own superuser, on the server itself."""
    psql = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", database]
    return subprocess.run([*ON_SERVER, *psql], input=sql, capture_output=True, text=True, check=True).stdout.strip()


def server_log() -> str:
    command = ["docker", "exec", SERVER, "sh", "-c", "cat /var/log/postgresql/*.log"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def play(name: str, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """One of the scenario's playbooks once more, with other variables: all of `converge`, or its `objects` or `indexes`
    alone."""
    return run_playbook(SCENARIO / f"{name}.yml", *arguments, **variables)


def succeeded(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 0, run.stdout
    return run.stdout


def refused(run: subprocess.CompletedProcess[str]) -> str:
    """What a run says that must not succeed."""
    assert run.returncode != 0, run.stdout
    return run.stdout.replace("\\n", "\n")
