"""What a build on the controller needs, sees and is called; and that it is built once, whole, or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._release_archive import sha256, unpack
from ansible_collections.minato.fleet.plugins.plugin_utils import artifact_build, artifacts
from ansible_collections.minato.fleet.plugins.plugin_utils.artifact_build import BuildError, Order, make
from ansible_collections.minato.fleet.plugins.plugin_utils.artifact_store import Store, StoreError, pack

TOOLS = artifacts.Tools("/usr/bin/git", "20.18.0", "Linux", "x86_64")
APP: dict[str, t.Any] = {
    "name": "morizo-web",
    "node_version": "20",
    "repository": "https://git.morizo.test/morizo-web.git",
    "repository_host_keys": [],
    "install": "npm ci",
    "build": "npm run build",
    "build_env": {"NEXT_PUBLIC_URL": "https://morizo.test", "DEBUG": False},
    "keep": 2,
}
CA = {"NODE_EXTRA_CA_CERTS": "/etc/ssl/certs/ca-certificates.crt"}
COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("tools", "architecture", "lack"),
    [
        (TOOLS._replace(git=""), "x86_64", " needs git on the controller, which has none. Install it there."),
        (
            TOOLS._replace(node=""),
            "x86_64",
            " needs Node.js 20 on the controller, which has none. Install it there, and",
        ),
        (
            TOOLS._replace(node="18.1.0"),
            "",
            " needs Node.js 20 on the controller, which has 18.1.0. Install it there, and",
        ),
        (
            TOOLS,
            "aarch64",
            ": the controller is Linux on x86_64 and the host Linux on aarch64, so what is built here may",
        ),
        (TOOLS._replace(system="Darwin"), "", ": the controller is Darwin on x86_64 and the host Linux on x86_64, so"),
    ],
)
def test_what_the_controller_lacks_is_a_sentence(tools: artifacts.Tools, architecture: str, lack: str) -> None:
    (said,) = artifacts.lacks(APP, tools, architecture)
    assert said.startswith("morizo-web: build_on: controller" + lack)


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", "x86_64"), ("x86_64", ""), ("arm64", "aarch64")])
def test_a_controller_like_the_host_lacks_nothing(machine: str, architecture: str) -> None:
    assert artifacts.lacks(APP, TOOLS._replace(machine=machine), architecture) == []


def test_an_app_without_node_needs_none() -> None:
    assert artifacts.lacks({**APP, "node_version": ""}, TOOLS._replace(node=""), "x86_64") == []


def test_a_build_sees_no_secret_of_the_controllers() -> None:
    known = {
        "HOME": "/home/ono",
        "https_proxy": "http://proxy.test",
        "npm_config_registry": "https://npm.test",
    }
    foreign = {
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "ANSIBLE_VAULT_PASSWORD_FILE": "/run/vault",
        "SSH_AUTH_SOCK": "/run/a",
    }
    install = artifacts.install_environment(
        {**known, **foreign, "PATH": "/usr/bin"}, {"CI": 1}, ["/opt/node/20/bin"], lambda path: True
    )
    assert install == {**known, "LANG": "C.UTF-8", "CI": "1", "PATH": "/opt/node/20/bin:/usr/bin"}
    build = artifacts.build_environment(install, APP)
    assert build == {**install, "NEXT_PUBLIC_URL": "https://morizo.test", "DEBUG": "false"}


@pytest.mark.parametrize(
    ("own", "there", "seen"),
    [
        ({}, True, "/etc/ssl/certs/ca-certificates.crt"),
        ({}, False, None),
        ({"NODE_EXTRA_CA_CERTS": "/home/ono/ca.pem"}, True, "/home/ono/ca.pem"),
    ],
    ids=["as on the hosts", "not on this machine", "the controller has its own"],
)
def test_a_file_of_the_hosts_counts_where_it_is_there(own: dict[str, str], there: bool, seen: str | None) -> None:
    environment = artifacts.install_environment(own, CA, [], lambda path: there)
    assert environment.get("NODE_EXTRA_CA_CERTS") == seen


def test_a_registrys_password_is_not_shown() -> None:
    environment = {
        "npm_config_//npm.test/:_authToken": "t0ken",
        "npm_config_registry": "https://npm.test",
        "TOKEN": "mine",
    }
    assert artifacts.hidden(environment) == ["npm_config_//npm.test/:_authToken=t0ken"]


@pytest.mark.parametrize(
    ("app", "commit", "environment", "tools"),
    [
        (APP, "b" * 40, CA, TOOLS),
        ({**APP, "install": "npm ci --omit=dev"}, COMMIT, CA, TOOLS),
        ({**APP, "build": ""}, COMMIT, CA, TOOLS),
        ({**APP, "build_env": {}}, COMMIT, CA, TOOLS),
        (APP, COMMIT, {}, TOOLS),
        (APP, COMMIT, CA, TOOLS._replace(node="20.18.1")),
        (APP, COMMIT, CA, TOOLS._replace(machine="aarch64")),
    ],
    ids=["commit", "install", "build", "variables of the app", "variables", "Node.js", "machine"],
)
def test_what_shapes_an_artifact_is_in_its_name(
    app: dict[str, t.Any], commit: str, environment: dict[str, str], tools: artifacts.Tools
) -> None:
    first = artifacts.artifact_name(APP, COMMIT, CA, TOOLS)
    assert first.startswith("aaaaaaaaaaaa-")
    assert first == artifacts.artifact_name({**APP, "name": "other", "keep": 9}, COMMIT, CA, TOOLS)
    assert first != artifacts.artifact_name(app, commit, environment, tools)


def tree(root: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin/run").write_text("#!/bin/sh\n")
    (root / "bin/run").chmod(0o700)
    (root / "text").write_text("text")
    (root / "link").symlink_to("bin/run")
    return root


def test_the_same_tree_is_the_same_archive(tmp_path: Path) -> None:
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    os.utime(two / "text", (1, 1))
    (two / "text").chmod(0o600)
    size = pack(str(one), str(tmp_path / "one.tar.gz"), 1743465600)
    time.sleep(1.1)  # gzip writes down seconds, if it is let
    pack(str(two), str(tmp_path / "two.tar.gz"), 1743465600)
    assert sha256(str(tmp_path / "one.tar.gz")) == sha256(str(tmp_path / "two.tar.gz"))
    assert size == 4 * 4096
    (tmp_path / "back").mkdir()
    unpack(str(tmp_path / "one.tar.gz"), str(tmp_path / "back"))
    assert (tmp_path / "back/link").resolve().stat().st_mode & stat.S_IXUSR
    assert (tmp_path / "back/text").read_text() == "text"
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        assert {(member.uid, member.uname, member.mtime) for member in tar} == {(0, "", 1743465600)}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc", "bin/../.."])
def test_a_link_out_of_the_tree_is_not_packed(tmp_path: Path, target: str) -> None:
    (tree(tmp_path / "tree") / "out").symlink_to(target)
    with pytest.raises(StoreError, match=r"^out is a link that leads out of the release"):
        pack(str(tmp_path / "tree"), str(tmp_path / "archive"), 0)


def test_a_pipe_is_not_packed(tmp_path: Path) -> None:
    os.mkfifo(tree(tmp_path / "tree") / "pipe")
    with pytest.raises(StoreError, match=r"^pipe is neither a file"):
        pack(str(tmp_path / "tree"), str(tmp_path / "archive"), 0)


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Order:
    """The build of a commit that a repository on this machine has."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "server.js").write_text("serve")
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "ono@morizo.test")
    git = ["git", "-C", str(source)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "One", "--date", "2025-04-01T09:00:00+09:00"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    app = {**APP, "repository": f"file://{source}", "install": "", "build": "echo $DEBUG >built", "node_version": ""}
    return Order(app, commit, {}, [], 60)


def built(store: Store, order: Order, tmp_path: Path) -> tuple[dict[str, t.Any], bool, Path]:
    """The artifact, whether it was built now, and where it is unpacked."""
    artifact, now = make(order, store)
    target = tmp_path / f"unpacked-{len(list(tmp_path.iterdir()))}"
    target.mkdir()
    unpack(artifact["path"], str(target))
    return artifact, now, target


def test_a_commit_is_built_once(tmp_path: Path, order: Order) -> None:
    store = Store(str(tmp_path / "cache"), "morizo-web")
    artifact, now, target = built(store, order, tmp_path)
    assert now
    assert sorted(path.name for path in target.iterdir()) == ["built", "server.js"]
    assert (target / "built").read_text() == "false\n"
    assert artifact["sha256"] == sha256(artifact["path"])
    assert artifact["manifest"]["built_on"] == "controller"
    assert artifact["manifest"]["author"] == "ono@morizo.test"
    again, now = make(order, store)
    assert (again, now) == (artifact, False)
    assert sorted(os.path.splitext(path.name)[1] for path in Path(store.root).iterdir()) == [".gz", ".json", ".lock"]
    assert Path(store.root).stat().st_mode & 0o777 == 0o700


def test_a_build_that_fails_leaves_nothing_and_shows_its_last_lines(tmp_path: Path, order: Order) -> None:
    store = Store(str(tmp_path / "cache"), "morizo-web")
    broken = order._replace(app={**order.app, "build": "seq 100; echo no such module >&2; exit 3"})
    with pytest.raises(BuildError) as failed:
        make(broken, store)
    said = str(failed.value)
    assert said.startswith(
        "morizo-web: `seq 100; echo no such module >&2; exit 3` ended with exit code 3 on the controller."
    )
    assert said.endswith("\n100\nno such module")
    assert "\n10\n" not in said
    assert [path.suffix for path in Path(store.root).iterdir()] == [".lock"]


def test_a_build_that_takes_too_long_is_stopped_with_all_that_it_started(tmp_path: Path, order: Order) -> None:
    store = Store(str(tmp_path / "cache"), "morizo-web")
    slow = order._replace(app={**order.app, "build": "sleep 77 & echo $!; sleep 77"}, timeout=1)
    with pytest.raises(BuildError, match="was stopped on the controller after 1 s") as failed:
        make(slow, store)
    child = int(str(failed.value).splitlines()[-1])
    until = time.monotonic() + 10
    while runs(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not runs(child)


def runs(pid: int) -> bool:
    """Whether a process is there, and not only waiting to be buried."""
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_npm_ci_without_a_lockfile_is_refused(tmp_path: Path, order: Order) -> None:
    with pytest.raises(BuildError, match="`npm ci` needs a lockfile, which the repository lacks"):
        make(order._replace(app={**order.app, "install": "npm ci"}), Store(str(tmp_path / "cache"), "morizo-web"))


def test_what_a_killed_run_left_is_no_artifact(tmp_path: Path, order: Order) -> None:
    """It may have been killed while it built, or between the archive and what is known of it."""
    store = Store(str(tmp_path / "cache"), "morizo-web")
    artifact, _now = make(order, store)
    archive = Path(artifact["path"])
    Path(str(archive).replace(".tar.gz", ".json")).unlink()
    (archive.parent / archive.name.removesuffix(".tar.gz")).mkdir()
    (archive.parent / archive.name.removesuffix(".tar.gz") / "leftover").touch()
    again, now, target = built(store, order, tmp_path)
    assert now
    assert again["sha256"] == artifact["sha256"]
    assert not (target / "leftover").exists()


def test_what_was_not_used_for_longest_is_removed(tmp_path: Path, order: Order) -> None:
    store = Store(str(tmp_path / "cache"), "morizo-web")
    paths = []
    for count in range(2):
        paths.append(Path(make(order._replace(environment={"COUNT": count}), store)[0]["path"]))
        os.utime(paths[-1], (count + 1, count + 1))
    make(order._replace(environment={"COUNT": 0}), store)
    make(order._replace(environment={"COUNT": 2}), store)
    assert [path.exists() for path in paths] == [True, False]


def test_what_a_killed_run_left_long_ago_is_removed(tmp_path: Path, order: Order) -> None:
    store = Store(str(tmp_path / "cache"), "morizo-web")
    root = Path(store.root)
    for name in ("long-ago", "just-now"):
        (root / name).mkdir(parents=True)
        (root / f"{name}.tar.gz.new").touch()
    for path in root.glob("long-ago*"):
        os.utime(path, (1, 1))
    make(order, store)
    assert sorted(path.name for path in root.iterdir() if not path.name.startswith(order.commit[:12])) == [
        "just-now",
        "just-now.tar.gz.new",
    ]


def test_a_second_run_waits_for_the_first(tmp_path: Path, order: Order) -> None:
    store = Store(str(tmp_path / "cache"), "morizo-web")
    name = artifacts.artifact_name(order.app, order.commit, order.environment, artifact_build.tools([]))
    with (
        store.locked(name, 0),
        pytest.raises(BuildError, match="morizo-web: another run has been building it for 0 s"),
    ):
        make(order._replace(timeout=0), store)


def test_the_version_of_node_is_that_of_the_first_directory(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v99.1.0\n")
    node.chmod(0o755)
    assert artifact_build.tools([str(tmp_path)]).node == "99.1.0"
