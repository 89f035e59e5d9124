"""S1 from outside: what a member of staff, a browser and a curious stranger get."""

from __future__ import annotations

import http.client
import ssl
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus


def test_https_with_a_verified_chain_answers_health_with_the_deployed_commit(site: Any, app_host: Any) -> None:
    """S1.6, S1.8: the certificate is the CA's, and /health has asked the database."""
    status, _headers, health = site.ask("GET", "/health", authorized=False)
    assert (status, health["status"], health["database"]) == (200, "ok", "ok")
    commit = app_host.check_output("git ls-remote git://outside.test/medical-api.git main").split()[0]
    assert health["commit"] == commit


def test_http_is_redirected(site: Any) -> None:
    status, headers, _body = site.ask_plain("/api/medical/staff?offset=0")
    assert status in (301, 308)
    assert headers["Location"] == "https://api.medical.test/api/medical/staff?offset=0"


def test_headers(site: Any) -> None:
    _status, headers, _body = site.ask("GET", "/health")
    assert headers["Strict-Transport-Security"].startswith("max-age=300")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "nginx", "the version is nobody's business"
    assert headers["X-Powered-By"] is None


def test_unknown_host_gets_no_answer(site: Any) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        site.ask_plain("/", host="somebody.else.test")


def test_tls_below_1_2_is_refused(site: Any) -> None:
    site.tls.minimum_version = ssl.TLSVersion.TLSv1
    site.tls.maximum_version = ssl.TLSVersion.TLSv1_1
    site.tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        site.connect()


def test_crud_through_to_the_database(site: Any, db_host: Any) -> None:
    """S1.7: what is written over HTTPS is a row in the schema medical, and what is deleted is gone."""
    staff = {"name": "看護師 一号", "department": "3F", "active": True}
    status, headers, made = site.ask("POST", "/api/medical/staff", staff)
    assert status == 201
    place = headers["Location"]
    status, _headers, interview = site.ask(
        "POST", "/api/medical/interviews", {"staff_id": made["id"], "interview_date": "2026-04-01"}
    )
    assert status == 201
    row = f"SELECT name || '/' || active FROM medical.staff WHERE id = {made['id']}"
    assert _psql(db_host, row) == "看護師 一号/true"
    assert site.ask("PATCH", place, {"active": False})[0] == 200
    assert _psql(db_host, row) == "看護師 一号/false"
    assert site.ask("GET", place)[2]["active"] is False
    assert site.ask("DELETE", f"/api/medical/interviews/{interview['id']}")[0] == 204
    assert site.ask("DELETE", place)[0] == 204
    assert site.ask("GET", place)[0] == 404
    assert _psql(db_host, row) == ""


def test_bad_request_is_told_what_is_wrong(site: Any) -> None:
    status, _headers, body = site.ask("POST", "/api/medical/staff", {"nmae": "x"})
    assert status == 400
    assert any("nmae" in detail for detail in body["details"])


def test_nobody_reads_staff_without_a_token(site: Any) -> None:
    assert site.ask("GET", "/api/medical/staff", authorized=False)[0] == 401


def test_websocket_passes_and_echoes(site: Any) -> None:
    assert site.say("もしもし", "/api/medical/echo") == "もしもし"


def test_websocket_wants_a_token(site: Any) -> None:
    with pytest.raises(InvalidStatus, match="401"):
        site.say("もしもし", "/api/medical/echo", authorized=False)


def test_indexes_are_there(db_host: Any) -> None:
    """S1.7: the three indexes, the first of them partial."""
    found = _psql(db_host, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'medical'")
    assert "ON medical.staff USING btree (active) WHERE (active = true)" in found
    assert "ON medical.interviews USING btree (interview_date)" in found
    assert "ON medical.evaluations USING btree (evaluation_period)" in found


def _psql(db_host: Any, query: str) -> str:
    command = f'setpriv --reuid=postgres --regid=postgres --init-groups psql -AtXc "{query}" medical_system'
    return str(db_host.check_output(command)).strip()
