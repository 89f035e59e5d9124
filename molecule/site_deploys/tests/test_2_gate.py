"""Releases that cannot do their work: the old one goes on serving, and the message says what was tried and heard."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.shared.load import asking

PATHS = {"medical-api": "/api/medical/staff", "voicedrive-api": "/api/social/posts"}
CRASH = "console.error('the configuration is beyond repair'); process.exit(7);\n"
ILL = (
    "require('dotenv').config({ path: `${__dirname}/.env`, quiet: true });"
    "require('node:http')"
    ".createServer((question, answer) => { answer.statusCode = 503; answer.end('no bed is free'); })"
    ".listen(process.env.PORT, '127.0.0.1',"
    " () => { console.log('listening'); if (process.send) process.send('ready'); });\n"
)


def broken(app: Any, server: str) -> str:
    return str(app.push(server_DOT_js=server + f"// {time.time()}\n"))


@pytest.mark.parametrize(
    ("name", "server", "words"),
    [
        (
            "medical-api",
            ILL,
            ["/health answered with", "status 503: no bed is free", "its memory peaked at", "listening"],
        ),
        ("voicedrive-api", CRASH, ["exit code 7", "the configuration is beyond repair", "its memory peaked at"]),
    ],
    ids=["PM2, answers 503", "systemd, crashes"],
)
def test_what_does_not_get_well_is_taken_back(
    name: str, app_named: Any, play: Any, host: Any, users: dict[str, dict[str, str]], server: str, words: list[str]
) -> None:
    app = app_named(name)
    before, processes = app.says()["release"], app.running()
    commit = broken(app, server)
    with asking(app.site, {PATHS[app.name]: users[app.name]}) as found:
        run = play("deploy", app=app.name)
    assert run.returncode != 0
    for word in [*words, f"Serving: {before}"]:
        assert word in run.stdout, run.stdout[-4000:]
    assert found[PATHS[app.name]].failures == []
    assert app.says()["release"] == before
    assert app.running() == processes, "only what served before runs"
    bad = next(each for each in app.releases() if each.endswith(commit[:12]))
    assert app.state(bad) == "bad"
    assert not host.file(f"{app.home}/releases/.lock").exists

    back = play("rollback", app=app.name, release=bad)
    assert back.returncode != 0
    assert "marked bad" in back.stdout
    assert app.running() == processes
