"""S2.11: VoiceDrive moves to a host of its own (playbooks/move_app.yml) while both systems are asked."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.shared.load import asking, listening

MEDICAL, SOCIAL, FEED = "/api/medical/staff", "/api/social/posts", "/api/social/feed"
CLIENTS = 10


def changes(output: str) -> dict[str, int]:
    """What a run changed on each host, by its recap."""
    return {host: int(count) for host, count in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)}


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"app": "voicedrive-api"}, "Say what is to be moved, and where to"),
        ({"app": "voicedrive-api", "to": "systems-3"}, "systems-3 is no host of the inventory"),
    ],
)
def test_what_cannot_be_moved_is_refused(play: Any, variables: dict[str, str], says: str) -> None:
    run = play("move_app", pattern=2, **variables)
    assert run.returncode != 0
    assert says in run.stdout
    assert set(changes(run.stdout).values()) == {0}


def test_a_move_whose_new_host_cannot_be_reached_ends_before_the_switch(
    play: Any, site: Any, first: Any, second: Any, social: dict[str, str]
) -> None:
    before = first.check_output("pgrep -u voicedrive-api -f server.js")
    address = second.check_output("hostname -I").strip()
    first.check_output(
        "nft 'add table inet cut; add chain inet cut out { type filter hook output priority 0; };"
        f" add rule inet cut out ip daddr {address} tcp dport 443 reject'"
    )
    try:
        with asking(site, {SOCIAL: social}) as found:
            run = play("move_app", pattern=2, app="voicedrive-api", to="systems-2")
    finally:
        first.check_output("nft delete table inet cut")
    assert run.returncode != 0
    assert "voicedrive-api does not answer on systems-2: https://api.s2.test/api/social/health at " in run.stdout
    assert "Nothing was switched: systems-1 serves it as before" in run.stdout
    assert found[SOCIAL].failures == []
    assert first.check_output("pgrep -u voicedrive-api -f server.js") == before


def test_the_move_drops_no_request(
    play: Any, site: Any, first: Any, second: Any, medical: dict[str, str], social: dict[str, str]
) -> None:
    paths = {MEDICAL: medical, SOCIAL: social}
    with asking(site, paths) as found, listening(site, FEED, social, CLIENTS) as listeners:
        run = play("move_app", pattern=2, app="voicedrive-api", to="systems-2")
        assert run.returncode == 0, run.stdout[-3000:]
    for asked in found.values():
        print(asked)
    away = [seconds for listener in listeners for seconds in listener.away]
    print(f"{len(away)} WebSockets came back, the slowest after {max(away):.2f} s")
    assert {path: asked.failures for path, asked in found.items()} == {MEDICAL: [], SOCIAL: []}
    assert all(len(asked.seconds) > 50 for asked in found.values())
    assert [listener.codes for listener in listeners] == [[1012]] * CLIENTS, "told to come back"
    assert len(away) == CLIENTS
    assert max(away) < 5
    assert 'fleet_forwards: {"voicedrive-api": "systems-2"}' in run.stdout.replace("\\", "")
    assert first.run("pgrep -u voicedrive-api -f server.js").stdout == ""
    assert len(second.check_output("pgrep -u voicedrive-api -f server.js").split()) == 2


def test_its_releases_stay_where_it_was_and_its_secrets_do_not(first: Any) -> None:
    assert first.file("/opt/voicedrive-api/current/server.js").exists
    assert not first.file("/opt/voicedrive-api/shared/.env").exists


def test_the_inventory_of_pattern_1_says_what_was_made(play: Any) -> None:
    """The same catalog; with the move written into the inventory there is nothing left to change."""
    run = play("site", pattern=1)
    assert run.returncode == 0, run.stdout[-3000:]
    assert changes(run.stdout) == {"medical-db": 0, "systems-1": 0, "systems-2": 0}
