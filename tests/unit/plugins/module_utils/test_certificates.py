# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading a certificate and saying why it is due: a case is a stanza or a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.module_utils._certificates import (
    Certificate,
    Due,
    Found,
    Wanted,
    due,
    read,
    renewal,
    report,
)

KEY = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----"
ISSUED = "/etc/letsencrypt/live/api"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
CASES = yaml.safe_load(Path(__file__).with_name("certificates_cases.yml").read_text(encoding="utf-8"))
REAL = Certificate("CN=api", "CN=authority", ["a.test", "b.test"], NOW + timedelta(days=60), KEY)
PLACEHOLDER = REAL._replace(issuer="CN=api")


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_read(case: dict[str, Any]) -> None:
    certificate = read(case["text"].replace("KEY", KEY))
    assert certificate.names == case["names"]
    assert certificate.self_signed is case["self_signed"]
    assert certificate.not_after.tzinfo is UTC
    assert certificate.public_key == KEY


@pytest.mark.parametrize("lacking", ["subject", "issuer", "notAfter", "KEY"])
def test_what_is_missing_is_named(lacking: str) -> None:
    lines = [line for line in CASES[0]["text"].splitlines() if not line.startswith(lacking)]
    with pytest.raises(ValueError, match="public key" if lacking == "KEY" else lacking):
        read("\n".join(lines).replace("KEY", KEY))


SERVER = "https://authority.test/directory"
METHOD = {"authenticator": "standalone", "pre_hook": "systemctl stop haproxy", "post_hook": ""}
KEPT = {"server": SERVER, "authenticator": "standalone", "pre_hook": "systemctl stop haproxy"}
GOOD = Found(ISSUED, REAL, True, "")


@pytest.mark.parametrize(
    ("found", "changes", "domains", "reason"),
    [
        pytest.param(GOOD, {}, ["b.test", "A.test"], "", id="as wanted, in any order and case"),
        pytest.param(Found("", None, False, "there is no x"), {}, ["a.test"], "there is no x", id="nothing there"),
        pytest.param(Found(ISSUED, REAL, False, "not the key"), {}, ["a.test"], "not the key", id="wrong key"),
        pytest.param(
            Found("/other", PLACEHOLDER, True, ""), {}, ["a.test", "b.test"], "a placeholder", id="a placeholder"
        ),
        pytest.param(
            Found("", REAL, True, ""), {}, ["a.test", "b.test"], f"not the one in {ISSUED}", id="never linked"
        ),
        pytest.param(
            GOOD,
            {},
            ["a.test", "b.test", "c.test"],
            "issued for a.test, b.test, wanted for a.test, b.test, c.test",
            id="a name added",
        ),
        pytest.param(GOOD, {}, ["a.test"], "issued for a.test, b.test, wanted for a.test", id="a name taken out"),
        pytest.param(
            Found(ISSUED, REAL._replace(not_after=NOW), True, ""),
            {},
            ["a.test", "b.test"],
            "expired on 2026-11-21",
            id="expired",
        ),
        pytest.param(
            GOOD,
            {"server": "https://staging.test/directory"},
            ["a.test", "b.test"],
            f"issued by https://staging.test/directory, wanted from {SERVER}",
            id="another authority",
        ),
        pytest.param(
            GOOD,
            {"authenticator": "webroot"},
            ["a.test", "b.test"],
            "renewed with authenticator webroot, wanted standalone",
            id="another way of renewal",
        ),
        pytest.param(
            GOOD,
            {"pre_hook": "", "post_hook": "date"},
            ["a.test", "b.test"],
            "renewed with post_hook date, wanted unset",
            id="a hook too many",
        ),
        pytest.param(
            GOOD,
            {"pre_hook": ""},
            ["a.test", "b.test"],
            "renewed with pre_hook unset, wanted systemctl stop haproxy",
            id="a hook too few",
        ),
    ],
)
def test_due(found: Found, changes: dict[str, str], domains: list[str], reason: str) -> None:
    why = due(found, ISSUED, Wanted(domains, SERVER, METHOD), {**KEPT, **changes}, NOW)
    assert why.reason == reason
    assert why.forced is bool(changes)


def test_certbots_own_default_is_no_other_authority() -> None:
    wanted = Wanted(REAL.names, "https://acme-v02.api.letsencrypt.org/directory", {})
    assert due(GOOD, ISSUED, wanted, {}, NOW) == Due("")


def test_what_certbot_noted_down_is_read() -> None:
    text = """
# renew_before_expiry = 30 days
version = 2.1.0
server = not here
[renewalparams]
account = 1234
webroot_path = /var/www/acme,
authenticator = webroot
pre_hook = "systemctl stop a, b"
server = https://authority.test/directory
[[webroot_map]]
authenticator = not here
"""
    assert renewal(text) == {
        "account": "1234",
        "webroot_path": "/var/www/acme",
        "authenticator": "webroot",
        "pre_hook": "systemctl stop a, b",
        "server": "https://authority.test/directory",
    }


def test_a_report_has_every_key_whatever_was_found() -> None:
    nothing = report("api", Found("", None, False, "there is no x"), Due("there is no x"))
    something = report("api", GOOD, Due(""))
    assert nothing.keys() == something.keys()
    assert not nothing["usable"]
    assert something["not_after"] == "2027-01-20T00:00:00Z"
