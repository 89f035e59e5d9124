"""What getent answers, and who is taken for missing or different."""

from __future__ import annotations

import pytest
from ansible_collections.minato.fleet.plugins.action.users import differing

WANTED = [{"name": "one", "home": "/opt/one"}, {"name": "two", "home": "/opt/two"}]
ONE = "one:x:998:998::/opt/one:/usr/sbin/nologin\n"
TWO = "two:x:997:997::/opt/two:/usr/sbin/nologin\n"


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (ONE + TWO, []),
        (TWO + ONE, []),
        (ONE, ["two"]),
        ("", ["one", "two"]),
        (ONE + TWO.replace("/opt/two", "/home/two"), ["two"]),
        (ONE.replace("/usr/sbin/nologin", "/bin/bash") + TWO, ["one"]),
    ],
    ids=["both there", "in another order", "one missing", "none there", "another home", "may log in"],
)
def test_differing(answer: str, names: list[str]) -> None:
    assert [user["name"] for user in differing(WANTED, answer)] == names
