"""What plan() and its neighbours decide: each case is data."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.minato.fleet.plugins.module_utils import _release_run as run
from ansible_collections.minato.fleet.plugins.module_utils._git import HELPER, Git
from ansible_collections.minato.fleet.plugins.module_utils._releases import (
    Found,
    app_secrets,
    artifact_commit,
    build_on,
    mistakes,
    parse_manifest,
    patterns,
    plan,
    resolve,
    split_credentials,
    steps,
    url_secrets,
)

APP = {
    "name": "medical-api",
    "user": "medical-api",
    "home": "/opt/medical-api",
    "repository": "https://git.medical.test/medical-api.git",
    "repository_host_keys": [],
    "version": "main",
    "path_prefix": ["/opt/node/20/bin"],
    "keep": 5,
    "shared": [".env", "uploads/", "var/data"],
    "build_memory_max": "1G",
    "env_file": "",
    "env_example": ".env.example",
    "install": "npm ci",
    "build": "",
    "migrate": " ",
    "build_on": "host",
    "migrations": "migrations",
    "hooks": {},
    "artifact": None,
}
FILE = {"url": "", "path": "/srv/artifacts/a.tgz", "sha256": "a" * 64}


def commit(letter: str) -> str:
    return letter * 40


def release(text: str) -> Found:
    """``3 b active`` -> release 0003 of commit bbb…; ``gone`` at the end: its directory is missing."""
    serial, letter, state, *rest = text.split()
    known = "" if state == "unreadable" else state
    return Found(f"{int(serial):04d}-{letter * 12}", known, commit(letter) if known else "", rest != ["gone"])


SEVEN = ["1 a ready", "2 b ready", "3 c ready", "4 d ready", "5 e ready", "6 f active"]

# name: (releases, number of the current one, wanted commit, keep) -> (action, id, discarded numbers, pruned numbers)
PLANS = {
    "nothing there yet": ([], 0, "a", 5, "deploy", "0001-aaaaaaaaaaaa", [], []),
    "nothing there, commit not known": ([], 0, "", 5, "deploy", "0001-unresolved", [], []),
    "runs already": (["1 a active"], 1, "a", 5, "none", "0001-aaaaaaaaaaaa", [], []),
    "new commit": (["1 a active"], 1, "b", 5, "deploy", "0002-bbbbbbbbbbbb", [], []),
    "stopped before the switch": (["1 a active", "2 b ready"], 1, "b", 5, "start", "0002-bbbbbbbbbbbb", [], []),
    "stopped after the switch": (["1 a active", "2 b ready"], 2, "b", 5, "start", "0002-bbbbbbbbbbbb", [], []),
    "stopped while building": (["1 a active", "2 b building"], 1, "b", 5, "deploy", "0003-bbbbbbbbbbbb", [2], []),
    "failed before": (["1 a active", "2 b bad"], 1, "b", 5, "deploy", "0003-bbbbbbbbbbbb", [2], []),
    "failed, and the old one is wanted again": (
        ["1 a active", "2 b bad"],
        1,
        "a",
        5,
        "none",
        "0001-aaaaaaaaaaaa",
        [2],
        [],
    ),
    "failed after the switch": (["1 a ready", "2 b bad"], 2, "b", 5, "deploy", "0003-bbbbbbbbbbbb", [], []),
    "failed ones use no slot": ([*SEVEN[1:], "7 a bad"], 6, "a", 5, "deploy", "0008-aaaaaaaaaaaa", [7], [2]),
    "six and a new one": (SEVEN, 6, "9", 5, "deploy", "0007-999999999999", [], [1, 2]),
    "six, nothing new": (SEVEN, 6, "f", 5, "none", "0006-ffffffffffff", [], [1]),
    "back to the oldest: it stays, and so does the running one": (
        SEVEN,
        6,
        "a",
        2,
        "start",
        "0001-aaaaaaaaaaaa",
        [],
        [2, 3, 4, 5],
    ),
    "manifest lost": (["1 a unreadable"], 1, "a", 5, "deploy", "0002-aaaaaaaaaaaa", [], []),
    "directory lost": (["1 a active gone"], 1, "a", 5, "deploy", "0002-aaaaaaaaaaaa", [], []),
    "directory of an old one lost": (["1 a ready gone", "2 b active"], 2, "b", 5, "none", "0002-bbbbbbbbbbbb", [1], []),
    "active, but the link says otherwise": (
        ["1 a active", "2 b active"],
        1,
        "a",
        5,
        "none",
        "0001-aaaaaaaaaaaa",
        [],
        [],
    ),
    "one commit built twice": (
        ["1 a ready", "2 b active", "3 a ready"],
        2,
        "a",
        5,
        "start",
        "0003-aaaaaaaaaaaa",
        [],
        [],
    ),
    "over ten thousand": (
        ["10000 a ready", "9999 b active"],
        9999,
        "c",
        2,
        "deploy",
        "10001-cccccccccccc",
        [],
        [10000],
    ),
}


@pytest.mark.parametrize("case", PLANS.values(), ids=PLANS)
def test_plan(case: tuple[list[str], int, str, int, str, str, list[int], list[int]]) -> None:
    texts, current, wanted, keep, action, release_id, discard, prune = case
    found = [release(text) for text in texts]
    live = next((one.id for one in found if int(one.id.split("-")[0]) == current), None)
    got = plan(found, live, commit(wanted) if wanted else None, keep)
    assert (got.action, got.id) == (action, release_id)
    assert [int(one.split("-")[0]) for one in got.discard] == discard
    assert [int(one.split("-")[0]) for one in got.prune] == prune
    assert got.due == (action != "none" or bool(discard or prune))


REFS = {
    "refs/heads/main": commit("a"),
    "refs/heads/both": commit("b"),
    "refs/tags/both": commit("c"),
    "refs/tags/v1": commit("d"),
    "refs/tags/v1^{}": commit("e"),
    "refs/heads/abcdef0": commit("f"),
}


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        ("main", commit("a")),
        ("v1", commit("e")),
        ("refs/tags/v1", commit("e")),
        ("refs/heads/both", commit("b")),
        (commit("9"), commit("9")),
        ("aaaaaaa", commit("a")),
        ("1234567", "1234567" + "0" * 33),
        ("abcdef0", commit("f")),
    ],
)
def test_a_version_stands_for_one_commit(version: str, answer: str) -> None:
    assert resolve(version, REFS, ["1234567" + "0" * 33, "7654321" + "0" * 33, "7654321" + "1" * 33]) == answer


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("both", "version both is a branch and a tag: write refs/heads/both or refs/tags/both"),
        ("none", "version none is neither a branch nor a tag of the repository"),
        ("7654321", "version 7654321 stands for 2 commits: write more digits"),
        ("9999999", "version 9999999 is neither a branch, a tag, nor the newest commit of one: write all 40 digits"),
    ],
)
def test_a_version_that_stands_for_none_is_refused(version: str, message: str) -> None:
    with pytest.raises(ValueError, match="version") as refused:
        resolve(version, REFS, ["7654321" + "0" * 33, "7654321" + "1" * 33])
    assert str(refused.value) == message


def test_the_server_is_asked_for_no_more_than_needed() -> None:
    assert patterns(commit("a")) == []
    assert patterns("main") == ["refs/heads/main", "refs/tags/main", "refs/heads/main^{}", "refs/tags/main^{}"]
    assert patterns("1234567") == ["*"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "finished"}', "{}"])
def test_a_manifest_that_cannot_be_read_is_none(text: str) -> None:
    assert parse_manifest(text) == {}


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("https://git.test/a.git", ("https://git.test/a.git", "", "")),
        ("https://bot:p%40ss@git.test:8443/a.git", ("https://git.test:8443/a.git", "bot", "p@ss")),
        ("https://token123@git.test/a.git", ("https://git.test/a.git", "x-access-token", "token123")),
        ("ssh://git@git.test/a.git", ("ssh://git@git.test/a.git", "", "")),
        ("git@git.test:a.git", ("git@git.test:a.git", "", "")),
    ],
)
def test_credentials_leave_the_url(url: str, answer: tuple[str, str, str]) -> None:
    assert split_credentials(url) == answer


def test_both_spellings_of_a_password_are_hidden() -> None:
    assert set(url_secrets("https://bot:p%40ss@git.test/a.git")) == {"p@ss", "p%40ss"}
    assert url_secrets("https://git.test/a.git") == []


def test_git_gets_the_password_from_its_helper_alone() -> None:
    git = Git("git", "https://bot:p%40ss@git.test/a.git")
    assert "p@ss" not in git.url + HELPER
    helper = ["sh", "-c", HELPER.removeprefix("!") + " get"]
    answer = subprocess.run(helper, env=git.environment, capture_output=True, text=True, check=True).stdout
    assert answer == "username=bot\npassword=p@ss\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Medical"}, "Medical: name: may hold lower-case letters, digits and hyphens"),
        ({"home": "/opt"}, "medical-api: home: must be a directory of the app's own, such as /opt/medical-api"),
        ({"home": "opt/x"}, "medical-api: home: must be a directory of the app's own, such as /opt/medical-api"),
        ({"version": "-x"}, "medical-api: version: must be a branch, a tag or a commit"),
        ({"version": "a b"}, "medical-api: version: must be a branch, a tag or a commit"),
        ({"repository": "--upload-pack=x"}, "medical-api: repository: must be a URL"),
        (
            {"repository_host_keys": ["git.medical.test ssh-ed25519 AAAA"]},
            "medical-api: repository_host_keys: has no use, as the repository is not asked over ssh. Take it out",
        ),
        ({"keep": 1}, "medical-api: keep: must be 2 or more, the running release and the one before it"),
        ({"shared": ["../x"]}, "medical-api: shared: ../x must lie in the release"),
        ({"shared": ["/etc"]}, "medical-api: shared: /etc must lie in the release"),
        ({"shared": ["a/../../x"]}, "medical-api: shared: a/../../x must lie in the release"),
        ({"shared": ["./"]}, "medical-api: shared: ./ must lie in the release"),
        ({"env_example": "../.env"}, "medical-api: env_example: ../.env must lie in the release"),
        ({"repository": ""}, "medical-api: repository: is missing: write it, or artifact"),
        ({"artifact": FILE}, "medical-api: artifact: has no use beside repository: take one of them out"),
        ({"migrations": "/srv/sql"}, "medical-api: migrations: /srv/sql must lie in the release"),
        (
            {"hooks": {"befor_switch": {"command": "true"}}},
            "medical-api: hooks: there is no point befor_switch: did you mean before_switch?",
        ),
    ],
)
def test_mistakes_name_the_app_and_the_key(change: dict[str, object], message: str) -> None:
    assert mistakes(APP) == []
    assert mistakes({**APP, **change}) == [message]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "https://files.test/a.tgz"}, "needs a url or a path, and one of them only"),
        ({"path": ""}, "needs a url or a path, and one of them only"),
        ({"path": "a.tgz"}, "path must be an absolute path of the controller, and a.tgz is not"),
        ({"path": "", "url": "file:///etc/passwd"}, "url must be a URL, https://… or http://…"),
        ({"sha256": "A" * 64}, "sha256 must be the 64 hexadecimal digits that sha256sum prints"),
        ({"sha256": "a" * 40}, "sha256 must be the 64 hexadecimal digits that sha256sum prints"),
    ],
)
def test_mistakes_of_an_artifact(change: dict[str, str], message: str) -> None:
    app = {**APP, "repository": "", "version": "1.4.2 (April)"}
    assert mistakes({**app, "artifact": FILE}) == []
    assert mistakes({**app, "artifact": {**FILE, **change}}) == [f"medical-api: artifact: {message}"]


def test_an_artifact_is_sent_and_its_checksum_is_its_commit() -> None:
    app = {**APP, "repository": "", "artifact": FILE, "build": "make", "migrate": "make migrate"}
    assert (build_on(app), artifact_commit(app), steps(app)) == ("controller", "a" * 40, ["migrate"])
    assert (build_on(APP), artifact_commit(APP)) == ("host", None)


def test_what_is_secret_in_urls_is_hidden() -> None:
    url = "https://bot:p%40ss@files.test/a.tgz?Signature=0123456789"
    artifact = {"url": url, "path": "", "sha256": "a" * 64}
    found = app_secrets({**APP, "repository": "", "artifact": artifact})
    assert set(found) == {"p@ss", "p%40ss", "Signature=0123456789"}
    assert app_secrets(APP) == []


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, ["install"]),
        ({"env_file": "/opt/medical-api/shared/.env", "build": "make"}, ["compare", "install", "build"]),
        ({"env_file": "/opt/medical-api/shared/.env", "env_example": "", "install": ""}, []),
        ({"build": "make", "migrate": "make migrate", "build_on": "controller"}, ["migrate"]),
        (
            {"hooks": {"on_failure": {"command": "true"}, "before_fetch": {"command": "true"}, "after_build": {}}},
            ["install", "hook:before_fetch", "hook:on_failure"],
        ),
    ],
)
def test_a_deploy_has_the_steps_that_the_app_asks_for(change: dict[str, object], wanted: list[str]) -> None:
    assert steps({**APP, **change}) == wanted


def test_a_step_runs_as_the_app_within_limits() -> None:
    words = run.arguments(APP, run.Order("echo $HOME", "/opt/medical-api/releases/1", {"CI": "1"}, ["/run/a.env"], 60))
    assert {"--wait", "--pipe", "--collect", "--uid=medical-api", "--unit=minato-app-medical-api.service"} <= set(words)
    limits = {"MemoryMax=1G", "CPUWeight=20", "RuntimeMaxSec=60", "EnvironmentFile=/run/a.env"}
    assert {f"--property={limit}" for limit in limits} <= set(words)
    assert "--setenv=PATH=/opt/node/20/bin:" + run.SYSTEM_PATH in words
    assert words[-3:] == ["/bin/sh", "-ec", "echo $$HOME"]


@pytest.mark.parametrize(
    ("command", "files", "refused"),
    [
        ("npm ci --omit=dev", ["package.json"], True),
        ("cd web && npm clean-install", [], True),
        ("npm ci", ["package-lock.json"], False),
        ("npm ci", ["npm-shrinkwrap.json"], False),
        ("npm install", [], False),
        ("pip install -r requirements.txt", [], False),
    ],
)
def test_npm_ci_wants_a_lockfile(command: str, files: list[str], refused: bool) -> None:
    assert bool(run.missing_lockfile(command, files)) == refused


def test_output_is_cut_and_secrets_are_struck_out() -> None:
    texts = ["A=short\nURL='postgresql://app:s3cret-word@db/x'\nKEY=\"quoted value\"\n"]
    noise = ["Running as unit: minato-app-x.service", "Finished with result: exit-code", "Service runtime: 1.2s"]
    lines = [f"line {count}" for count in range(50)]
    output = "\n".join([*noise, *lines, "s3cret-word, quoted value, short", "redis://u:other-one@host"])
    shown = run.tail(output, run.secrets(texts)).splitlines()
    assert len(shown) == run.TAIL
    assert shown[-2:] == ["********, ********, short", "redis://u:********@host"]


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("x\nFinished with result: oom-kill\n", "needs more memory than build_memory_max (1G) allows"),
        ("Finished with result: timeout\n", "was stopped after 60 s"),
        ("Finished with result: exit-code\n", "ended with exit code 7"),
        ("", "ended with exit code 7"),
    ],
)
def test_the_reason_of_a_failure_is_a_sentence(output: str, sentence: str) -> None:
    assert run.reason(APP, 7, output, 60) == sentence
