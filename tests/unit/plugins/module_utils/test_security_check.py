# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""S3.13: each line of the checklist, by what a host may show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.module_utils import _security_check as rules
from ansible_collections.minato.fleet.plugins.plugin_utils import checklist

CASES = yaml.safe_load(Path(__file__).with_name("security_check_cases.yml").read_text(encoding="utf-8"))
NOW = datetime(2026, 11, 21, tzinfo=UTC)
OF_A_PATH = ("key", "env_file", "writable")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['rule']}: {case['wrong'] or 'passes'}")
def test_rule(case: dict[str, Any]) -> None:
    given = case["given"]
    if case["rule"] in OF_A_PATH:
        path, owner, group, mode = given[0]
        given = [rules.Path(path, owner, group, int(mode, 8)), *given[1:]]
    if case["rule"] == "listeners":
        given = [[tuple(entry) for entry in entries] for entries in given]
    finding = getattr(rules, case["rule"])(*given)
    assert finding.wrong == case["wrong"]
    assert finding.report()["passed"] is (case["wrong"] == "")
    assert bool(finding.report()["remedy"]) is (case["wrong"] != "")


@pytest.mark.parametrize(
    ("days", "self_signed", "wrong"),
    [
        (60, False, ""),
        (None, False, "there is none that can be read"),
        (300, True, "it is a placeholder that no browser trusts"),
        (-1, False, "it ended on 2026-11-20"),
        (13, False, "it ends on 2026-12-04 and has not been renewed"),
    ],
)
def test_certificate(days: int | None, self_signed: bool, wrong: str) -> None:
    not_after = None if days is None else NOW + timedelta(days=days)
    assert rules.certificate("morizo.test", not_after, self_signed, NOW).wrong == wrong


UPGRADE = """\
Inst tzdata [2026a-0] (2026b-0+deb12u1 Debian:12/oldstable-updates [all])
Inst openssl [3.0.15] (3.0.17-1~deb12u3 Debian-Security:12/oldstable-security [amd64])
Inst curl [8.5.0-2ubuntu10] (8.5.0-2ubuntu10.6 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64])
Conf openssl (3.0.17-1~deb12u3 Debian-Security:12/oldstable-security [amd64])
"""


@pytest.mark.parametrize(
    ("simulated", "age", "reboot", "wrong"),
    [
        ("", timedelta(days=1), False, ["", "", ""]),
        (UPGRADE, timedelta(days=1), False, ["openssl, curl", "", ""]),
        ("", timedelta(days=30), True, ["", "they are 30 days old", "an update waits for one"]),
        ("", None, False, ["", "there are none", ""]),
    ],
)
def test_packages(simulated: str, age: timedelta | None, reboot: bool, wrong: list[str]) -> None:
    assert [finding.wrong for finding in rules.packages(simulated, age, reboot)] == wrong


def test_secret_values_are_those_that_can_be_looked_for() -> None:
    text = "PORT=3000\nTOKEN='long enough'\nSHORT=abc\nQUOTED=\"also long\"\nBARE=longenough\nOTHER=notasecret\n"
    wanted = ["TOKEN", "SHORT", "QUOTED", "BARE", "MISSING"]
    assert rules.secret_values(text, wanted) == {"TOKEN": "long enough", "QUOTED": "also long", "BARE": "longenough"}


def test_table() -> None:
    passed = rules.processes("web", "morizo", {1: "morizo"}).report()
    failed = rules.env_ignored("/opt/web/current/.env", ignored=False).report()
    assert checklist.lines([passed, failed]) == [
        "pass  runs as its own user                web",
        "FAIL  environment file is ignored by git  /opt/web/current/.env: the repository would take it in",
        "                                          -> add .env to the repository's .gitignore",
    ]
    assert checklist.lines([]) == []
