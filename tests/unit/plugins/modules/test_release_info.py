"""A repository that is asked over ssh with a deploy key; ssh is played, and lets one key in."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.minato.fleet.plugins.modules.release_info import main

# Runs the server's command here, for whoever has the key.
SSH = f"""#!{sys.executable}
import os, sys
words = sys.argv[1:]
if open(words[words.index("-i") + 1]).read() != open(os.environ["LETS_IN"]).read():
    sys.exit("git@git.test: Permission denied (publickey).")
os.execvp("sh", ["sh", "-c", words[-1]])
"""
AUTHOR = {f"GIT_{who}_{what}": "ono@test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class World:
    """A repository with a tag before its newest commit, and two keys of which one is let in."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.source = place / "source"
        for name in ("deploy", "stranger"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(place / name)]
            subprocess.run(words, check=True)
        (place / "bin").mkdir()
        (place / "bin" / "ssh").write_text(SSH)
        (place / "bin" / "ssh").chmod(0o755)
        self.git("init", "--quiet", "--initial-branch=main", str(self.source), cwd=place)
        self.tagged = self.commit("first")
        self.git("tag", "--annotate", "--message=v1", "v1.0.0")
        self.newest = self.commit("second")

    def git(self, *words: str, cwd: Path | None = None) -> str:
        environment = {**os.environ, **AUTHOR}
        done = subprocess.run(
            ["git", *words], cwd=cwd or self.source, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def key(self, name: str) -> str:
        return (self.place / name).read_text()

    def arguments(self, key: str, version: str) -> dict[str, Any]:
        app = {
            "name": "medical-api",
            "user": getpass.getuser(),
            "home": str(self.place / "home"),
            "repository": f"ssh://git@git.test{self.source}",
            "version": version,
        }
        return {"apps": [app], "deploy_keys": {"medical-api": self.key(key)} if key else {}}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("LETS_IN", str(tmp_path / "deploy"))
    return made


def told(arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the module answers, with what it says of its own call."""
    with patch_module_args(arguments), pytest.raises(SystemExit):
        main()
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def test_a_tag_a_branch_and_a_commit(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    commits = {"v1.0.0": world.tagged, "main": world.newest, world.newest[:9]: world.newest, world.tagged: world.tagged}
    for version, commit in commits.items():
        answer = told(world.arguments("deploy", version), capsys)
        assert answer["apps"][0]["commit"] == commit
        assert answer["invocation"]["module_args"]["deploy_keys"] == {
            "medical-api": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
        }
        assert not any(line in json.dumps(answer) for line in world.key("deploy").splitlines()[1:-1])


def test_another_key_is_refused_and_not_shown(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    answer = told(world.arguments("stranger", "main"), capsys)
    assert answer["failed"]
    assert "medical-api: ls-remote of ssh://git@git.test/" in answer["msg"]
    assert "git.test does not let the deploy key SHA256:" in answer["msg"]
    assert answer["msg"].endswith("Nothing was changed: mend repository or version of the app and run again.")
    assert not any(line in json.dumps(answer) for line in world.key("stranger").splitlines()[1:-1])


def test_what_is_no_key_is_refused_and_not_shown(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    answer = told({**world.arguments("deploy", "main"), "deploy_keys": {"medical-api": "s3cret-word"}}, capsys)
    assert "the deploy key is not a private key. Write the whole file" in answer["msg"]
    assert "s3cret-word" not in json.dumps(answer)
