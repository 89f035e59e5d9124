"""What the role app promises of a build on the controller: made once, verified on each host, no harm if it fails."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from ansible_collections.minato.fleet.molecule.shared import git
from ansible_collections.minato.fleet.molecule.shared.controller_node import node_bin
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook

SCENARIO = Path(__file__).parents[1]
SERVER = "minato-app-outside"
SECRET = "only-for-the-host"
CURRENT = "/opt/shipped/current"


class World:
    """The two hosts, the repository, and a controller whose artifacts lie in a directory of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.app = testinfra.get_host("docker://minato-app")
        self.bare = testinfra.get_host("docker://minato-app-bare")
        self.artifacts = directory / "artifacts"
        self.node = node_bin(directory)

    def push(self, **files: str) -> str:
        changes = {name.replace("__", "."): text for name, text in files.items()}
        return str(git.push(SERVER, "shipped", SCENARIO / "files" / "shipped", changes))

    def deploy(self, *arguments: str, reserve_mb: int = 512, **changes: Any) -> subprocess.CompletedProcess[str]:
        release = {
            "name": "shipped",
            "user": "shipped",
            "home": "/opt/shipped",
            "repository": f"git://{git.address(SERVER)}/shipped.git",
            "version": "main",
            "build": "npm run build",
            "build_on": "controller",
            "build_env": {"NEXT_PUBLIC_URL": "https://shipped.test"},
            "node_version": "20",
            "shared": [".env"],
            "env_file": "/opt/shipped/shared/.env",
        }
        done: subprocess.CompletedProcess[str] = run_playbook(
            SCENARIO / "shipped.yml",
            *arguments,
            app_releases=[{**release, **changes}],
            app_artifacts=str(self.artifacts),
            app_controller_path=[str(self.node)],
            app_disk_reserve_mb=reserve_mb,
        )
        return done

    def archives(self) -> list[Path]:
        return sorted(self.artifacts.glob("shipped/*.tar.gz"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What is on the controller and no build's business is in its environment."""
    made = World(tmp_path_factory.mktemp("controller"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "key-of-the-cloud")
        yield made


def manifest(host: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file(f"{CURRENT}/RELEASE.json").content_string)
    return found


def built(host: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file(f"{CURRENT}/dist/build.json").content_string)
    return found


def forget(host: Any) -> None:
    """As a host that has never had the app's releases."""
    host.check_output("rm -rf /opt/shipped/releases/* /opt/shipped/slots /opt/shipped/current")


def test_what_would_be_deployed_is_foretold_and_nothing_is_built(world: World) -> None:
    done = world.deploy("--check")
    assert done.returncode == 0, done.stdout
    assert "Build on the controller shipped 0001-" in done.stdout
    assert not world.archives()
    assert not world.app.file("/opt/shipped").exists


def test_one_build_serves_both_hosts(world: World) -> None:
    """S3.8"""
    done = world.deploy("-v")
    assert done.returncode == 0, done.stdout
    (archive,) = world.archives()
    first, second = built(world.app), built(world.bare)
    assert first == second
    assert first["hour"] == 3600000
    for host in (world.app, world.bare):
        found = manifest(host)
        assert (found["built_on"], found["state"], found["author"]) == ("controller", "active", "Fleet Test")
        assert found["node_version"].startswith("20.")
        assert archive.name.startswith(found["commit"][:12])
        checked = subprocess.run(["sha256sum", str(archive)], capture_output=True, text=True, check=True).stdout
        assert checked.split()[0] == found["sha256"]
        assert host.run("runuser -u shipped -- cat %s/node_modules/ms/package.json %s/.env", CURRENT, CURRENT).rc == 0
        assert host.check_output(f"readlink -f {CURRENT}/dist/run").endswith("/dist/run.sh")
        assert host.file(f"{CURRENT}/dist/run.sh").mode == 0o750
        foreign = f"find {CURRENT}/ ! -type l '(' -user shipped -o -perm /027 ')'"
        assert host.check_output(foreign) == ""


def test_the_host_needs_neither_git_nor_node_and_runs_no_step(world: World) -> None:
    assert not world.bare.exists("git")
    assert not world.bare.exists("node")
    assert not world.bare.file("/var/cache/minato-app").exists
    for host in (world.app, world.bare):
        assert host.run("journalctl --no-pager | grep minato-app-shipped").rc != 0


def test_the_build_sees_what_is_public_and_no_secret(world: World) -> None:
    seen = built(world.app)["env"]
    assert seen["NEXT_PUBLIC_URL"] == "https://shipped.test"
    assert f"{world.node}:" in seen["PATH"]
    assert not {"AWS_SECRET_ACCESS_KEY", "SECRET", "MOLECULE_INVENTORY_FILE"} & set(seen)
    (archive,) = world.archives()
    names = subprocess.run(["tar", "--list", "--file", str(archive)], capture_output=True, text=True, check=True).stdout
    assert not {".env", ".git/"} & set(names.splitlines())


def test_a_second_run_changes_nothing(world: World) -> None:
    done = world.deploy("-v")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("changed=0") == 2


def test_a_new_host_gets_what_is_there_already(world: World) -> None:
    mark = built(world.app)["mark"]
    forget(world.bare)
    done = world.deploy("--limit", "minato-app-bare")
    assert done.returncode == 0, done.stdout
    assert built(world.bare)["mark"] == mark


def test_a_corrupted_archive_is_refused_and_the_running_release_stays(world: World) -> None:
    before, commit = manifest(world.bare)["id"], world.push(page="second version")
    assert world.deploy("--limit", "minato-app").returncode == 0
    (archive,) = (path for path in world.archives() if path.name.startswith(commit[:12]))
    good = archive.read_bytes()
    archive.write_bytes(good[:-100] + b"x" + good[-99:])
    done = world.deploy("--limit", "minato-app-bare")
    archive.write_bytes(good)
    assert done.returncode != 0
    assert "shipped: the archive that came has the SHA-256" in done.stdout
    assert f"Running is still {before}." in done.stdout
    assert "Mend the cause and run again" in done.stdout
    assert manifest(world.bare)["id"] == before
    bad = world.bare.check_output("ls /opt/shipped/releases/*.json").split()[-1]
    assert json.loads(world.bare.file(bad).content_string)["state"] == "bad"

    assert world.deploy("--limit", "minato-app-bare").returncode == 0
    assert manifest(world.bare)["commit"] == commit
    assert not world.bare.file(bad).exists


def test_a_build_that_fails_leaves_nothing_on_the_hosts(world: World) -> None:
    hosts = (world.app, world.bare)
    before = [host.check_output("ls /opt/shipped/releases; readlink -f /opt/shipped/current") for host in hosts]
    world.push(build__js="console.log('line of the build'); process.exit(3)")
    done = world.deploy()
    assert done.returncode != 0
    sentence = "shipped: `npm run build` ended with exit code 3 on the controller. No host got anything of it."
    assert done.stdout.count(sentence) >= 2
    assert "line of the build" in done.stdout
    assert SECRET not in done.stdout
    assert [host.check_output("ls /opt/shipped/releases; readlink -f /opt/shipped/current") for host in hosts] == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"node_version": "99"},
            "shipped: build_on: controller needs Node.js 99 on the controller, which has 20.",
        ),
        ({"version": "no-such-branch"}, "shipped: version no-such-branch is neither a branch nor a tag"),
        (
            {"repository": "https://bot:geheim%40wort@localhost:1/shipped.git"},
            "shipped: ls-remote of https://localhost:1/shipped.git: fatal: unable to access",
        ),
        ({"reserve_mb": 10**9}, "and 1000000000 MB (app_disk_reserve_mb) shall stay free"),
    ],
    ids=["Node.js", "version", "repository", "disk"],
)
def test_what_cannot_work_is_told_and_the_running_release_stays(
    world: World, changes: dict[str, Any], message: str
) -> None:
    before = manifest(world.bare)["id"]
    world.push(page=f"never deployed, {message}")
    done = world.deploy("-vvv", "--limit", "minato-app-bare", **changes)
    assert done.returncode != 0
    assert message in done.stdout
    assert "geheim" not in done.stdout
    assert manifest(world.bare)["id"] == before
