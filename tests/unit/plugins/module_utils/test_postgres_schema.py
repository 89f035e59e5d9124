"""The plan for a PostgreSQL server: what it has and should have in, statements out. A case is a stanza of data."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.module_utils import _postgres_schema as server
from ansible_collections.minato.fleet.plugins.module_utils import _postgres_schema_dump as dumps
from ansible_collections.minato.fleet.plugins.module_utils import _postgres_schema_sql as sql
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_indexes import index_lists
from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_plan import plan_indexes, plan_objects

DATA = yaml.safe_load(Path(__file__).with_name("postgres_schema_cases.yml").read_text(encoding="utf-8"))


def merged(base: Any, change: Any) -> Any:
    """The base with the change laid over it; a list replaces a list, null removes a key."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return copy.deepcopy(change)
    result = {**copy.deepcopy(base), **{key: merged(base.get(key), value) for key, value in change.items()}}
    return {key: value for key, value in result.items() if value is not None or key not in change}


@pytest.mark.parametrize("case", DATA["cases"], ids=lambda case: case["name"])
def test_plan(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    current = merged(DATA["states"][case.get("state", "settled")], case.get("current", {}))
    wanted = merged(DATA["wanted"], case.get("wanted", {}))
    if case.get("scope") == "indexes":
        plan = plan_indexes(current, wanted, predict=case.get("predict", False))
    else:
        plan = plan_objects(current, wanted)
    found = {
        "statements": [f"{statement.database}: {statement.text}" for statement in plan.statements],
        "warnings": plan.warnings,
        "errors": plan.errors,
    }
    assert found == {"statements": [], "warnings": [], "errors": [], **case["plan"]}


@pytest.mark.parametrize("case", DATA["borrowing"], ids=lambda case: case["name"])
def test_autocommit_statements_are_the_only_ones_outside_a_transaction(case: dict[str, Any]) -> None:
    """A loan shares the transaction of what it is for, or is committed and has a form of its own."""
    state = merged(DATA["states"]["empty"], {"version": case["version"], "databases": case.get("databases", {})})
    plan = plan_indexes(state, DATA["wanted"], predict=True) if case["indexes"] else plan_objects(state, DATA["wanted"])
    loans = [(statement.text, statement.autocommit) for statement in plan.statements if " TO master" in statement.text]
    assert [list(loan) for loan in loans if "CONNECT" not in loan[0]] == case["loans"]


@pytest.mark.parametrize("case", DATA["connection_errors"], ids=lambda case: case["hint"] or "no hint")
def test_connection_error_says_what_to_do(case: dict[str, str]) -> None:
    said = server.explain(case["said"], "master", "db.test", 5432, "postgres")
    assert said.startswith("Cannot connect to PostgreSQL at db.test:5432, database postgres, as master: ")
    assert case["hint"] in said
    assert " ".join(case["said"].split()) in said


@pytest.mark.parametrize("case", DATA["logins"], ids=lambda case: case["said"])
def test_refused_login_tells_whether_the_password_was_right(case: dict[str, Any]) -> None:
    assert server.password_right(case["said"]) is case["right"]


@pytest.mark.parametrize("case", DATA["identifiers"], ids=lambda case: case["text"])
def test_names_are_read_as_postgresql_writes_them(case: dict[str, Any]) -> None:
    assert sql.identifiers(case["text"]) == case["names"]


def test_names_and_constants_are_quoted_where_they_must_be() -> None:
    parts: dict[str, sql.Part] = {"one": sql.name("Staff", 'a"b'), "two": sql.Text("it's"), "three": sql.Password("x")}
    statement = sql.Statement("", "{one} {two} {three}", parts, "")
    assert statement.text == "\"Staff\".\"a\"\"b\" 'it''s' '********'"


@pytest.mark.parametrize("case", DATA["definitions"], ids=lambda case: case["text"])
def test_columns_are_read_from_the_definition_of_an_index(case: dict[str, Any]) -> None:
    assert index_lists(case["text"]) == (case["columns"], case["include"])


@pytest.mark.parametrize("case", DATA["dumps"], ids=lambda case: case["name"])
def test_dump_is_known_from_its_list_of_contents(case: dict[str, Any]) -> None:
    made = case["dump"]["made"]
    if isinstance(made, list):
        made = time.mktime((*made, 0, 0, -1))
    assert dumps.parsed(case["listed"], case["changed"]) == {**case["dump"], "made": made}


def test_dump_needs_pg_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "dump").write_text("PGDMP", encoding="utf-8")
    assert "pg_restore is missing on this host" in dumps.read_dump(str(tmp_path / "dump"))["problem"]


def test_database_logged_in_to_cannot_be_dropped() -> None:
    wanted = merged(DATA["wanted"], {"databases": [{"name": "shop", "state": "absent"}]})
    with pytest.raises(server.PostgresSchemaError, match="it is the one logged in to; name another one as login_db"):
        server.converge({"database": "shop"}, wanted, False, False)


def test_server_that_is_too_old_is_refused() -> None:
    """None is at hand to try it on."""
    old = server.Server({"host": "db.test"}, indexes=False)
    old._version = 140011
    with pytest.raises(server.PostgresSchemaError, match=r"is 14\.11; this needs 15 or later: upgrade the server"):
        old.version()
