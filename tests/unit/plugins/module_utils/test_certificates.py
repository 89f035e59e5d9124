# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading a certificate and saying why it is due: a case is a stanza or a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.module_utils._certificates import Certificate, Found, due, read, report

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


@pytest.mark.parametrize(
    ("found", "domains", "reason"),
    [
        pytest.param(Found(ISSUED, REAL, True, ""), ["b.test", "A.test"], "", id="as wanted, in any order and case"),
        pytest.param(Found("", None, False, "there is no x"), ["a.test"], "there is no x", id="nothing there"),
        pytest.param(Found(ISSUED, REAL, False, "x is not the key"), ["a.test"], "x is not the key", id="wrong key"),
        pytest.param(Found("/other", PLACEHOLDER, True, ""), ["a.test", "b.test"], "a placeholder", id="a placeholder"),
        pytest.param(Found("", REAL, True, ""), ["a.test", "b.test"], f"not the one in {ISSUED}", id="never linked"),
        pytest.param(
            Found(ISSUED, REAL, True, ""),
            ["a.test", "b.test", "c.test"],
            "issued for a.test, b.test, wanted for a.test, b.test, c.test",
            id="a name added",
        ),
        pytest.param(
            Found(ISSUED, REAL, True, ""),
            ["a.test"],
            "issued for a.test, b.test, wanted for a.test",
            id="a name taken out",
        ),
        pytest.param(
            Found(ISSUED, REAL._replace(not_after=NOW), True, ""),
            ["a.test", "b.test"],
            "expired on 2026-11-21",
            id="expired",
        ),
    ],
)
def test_due(found: Found, domains: list[str], reason: str) -> None:
    assert due(found, ISSUED, domains, NOW) == reason


def test_a_report_has_every_key_whatever_was_found() -> None:
    nothing = report("api", Found("", None, False, "there is no x"), "there is no x")
    something = report("api", Found(ISSUED, REAL, True, ""), "")
    assert nothing.keys() == something.keys()
    assert not nothing["usable"]
    assert something["not_after"] == "2027-01-20T00:00:00Z"
