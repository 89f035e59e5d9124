"""S2.9: one system's failure, deploy or restart does not disturb the other, which is asked all the while."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.shared.load import asking

MEDICAL, SOCIAL = "/api/medical/staff", "/api/social/posts"

AUTHOR = "-c user.name=Test -c user.email=test@example.test"
NEW_COMMIT = (
    "cd /srv/git/voicedrive-api.git &&"
    f" git update-ref refs/heads/main $(git {AUTHOR} commit-tree 'main^{{tree}}' -p main -m Again)"
)


@pytest.fixture
def headers(medical: dict[str, str], social: dict[str, str]) -> dict[str, dict[str, str]]:
    return {MEDICAL: medical, SOCIAL: social}


def until_up(site: Any, path: str, headers: dict[str, str]) -> None:
    deadline = time.monotonic() + 60
    while site.ask("GET", path, headers=headers)[0] != 200:
        assert time.monotonic() < deadline, f"{path} has not come back"
        time.sleep(0.5)


def pids(host: Any, app: str) -> set[str]:
    return set(host.check_output(f"pgrep -u {app} -f server.js").split())


@pytest.mark.parametrize(
    ("dies", "app", "lives"), [(SOCIAL, "voicedrive-api", MEDICAL), (MEDICAL, "medical-api", SOCIAL)]
)
def test_when_one_is_killed(
    first: Any, site: Any, headers: dict[str, dict[str, str]], dies: str, app: str, lives: str
) -> None:
    before = pids(first, app)
    with asking(site, {lives: headers[lives]}) as found:
        first.check_output(f"pkill -KILL -u {app} -f server.js")
        time.sleep(1)
        until_up(site, dies, headers[dies])
        found[lives].wait_for(20)
    print(found[lives])
    assert not before & pids(first, app)
    assert found[lives].failures == []


def test_when_one_fills_its_memory(first: Any, site: Any, headers: dict[str, dict[str, str]]) -> None:
    """S2.8: PM2 starts it afresh above its limit; the other one keeps its processes and its memory."""
    before, others = pids(first, "voicedrive-api"), pids(first, "medical-api")
    with asking(site, {MEDICAL: headers[MEDICAL]}) as found:
        assert site.ask("POST", "/api/social/test/eat?mb=600", headers=headers[SOCIAL])[0] == 200
        deadline = time.monotonic() + 90
        while before <= pids(first, "voicedrive-api"):
            assert time.monotonic() < deadline, "no process was started afresh"
            time.sleep(1)
        until_up(site, SOCIAL, headers[SOCIAL])
        found[MEDICAL].wait_for(20)
    print(found[MEDICAL])
    assert pids(first, "medical-api") == others
    assert found[MEDICAL].failures == []


def test_when_one_is_deployed(
    first: Any, outside: Any, site: Any, play: Any, headers: dict[str, dict[str, str]]
) -> None:
    others = pids(first, "medical-api")
    outside.check_output(NEW_COMMIT)
    with asking(site, {MEDICAL: headers[MEDICAL]}) as found:
        run = play("site", "--tags", "apps", pattern=2)
        found[MEDICAL].wait_for(20)
    assert run.returncode == 0, run.stdout[-3000:]
    print(found[MEDICAL])
    head = outside.check_output("git -C /srv/git/voicedrive-api.git rev-parse main")
    assert site.ask("GET", "/api/social/health")[2]["commit"] == head
    assert pids(first, "medical-api") == others
    assert found[MEDICAL].failures == []
