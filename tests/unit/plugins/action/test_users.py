"""What getent answers, and who is taken for missing or different."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.action.users import arguments, differing

SERVICE: dict[str, Any] = {"shell": "", "expired": False}
PERSON: dict[str, Any] = {"name": "alice", "home": "/home/alice", "shell": "/bin/bash", "expired": False}
WANTED = [{"name": "one", "home": "/opt/one", **SERVICE}, {"name": "two", "home": "/opt/two", **SERVICE}]
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


ALICE = "alice:x:1000:1000::/home/alice:/bin/bash\nalice:*:20000:0:99999:7:::\n"
CLOSED = "alice:x:1000:1000::/srv/alice:/usr/sbin/nologin\nalice:*:20000:0:99999:7::1:\n"


@pytest.mark.parametrize(
    ("expired", "answer", "homes"),
    [
        (False, ALICE, []),
        (False, ALICE.replace(":::", "::30000:"), []),
        (False, "", ["/home/alice"]),
        (False, CLOSED, ["/home/alice"]),
        (True, CLOSED, []),
        (True, "", []),
        (True, ALICE.replace("/home", "/srv"), ["/srv/alice"]),
        (True, ALICE.replace("/bin/bash", "/usr/sbin/nologin"), ["/home/alice"]),
    ],
    ids=[
        *("may log in", "may until a day that somebody set", "missing", "comes back"),
        *("is closed", "never was there", "is to go", "has lost the shell only"),
    ],
)
def test_people_come_and_go(expired: bool, answer: str, homes: list[str]) -> None:
    assert [user["home"] for user in differing([{**PERSON, "expired": expired}], answer)] == homes


def test_what_the_module_is_asked() -> None:
    service = {"name": "one", "home": "/opt/one", "expires": -1, "shell": "/usr/sbin/nologin"}
    assert arguments(WANTED[0]) == {**service, "create_home": False, "system": True}
    assert arguments(PERSON) == {
        "name": "alice",
        "home": "/home/alice",
        "expires": -1,
        "shell": "/bin/bash",
        "create_home": True,
    }
    assert arguments({**PERSON, "expired": True}) == {"name": "alice", "shell": "/usr/sbin/nologin", "expires": 86400}
