"""What the role app promises, seen from outside: on disk, as the app's user, and when things go wrong."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tarfile
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.molecule.shared.playbook import ansible_playbook

SCENARIO = Path(__file__).parents[1]
SOURCE = SCENARIO / "files" / "hello"
INPUT = yaml.safe_load((SCENARIO / "vars.yml").read_text(encoding="utf-8"))["app_releases"][0]
SECRET = "only-for-migrations"
QUICK = {"install": "", "build": "", "migrate": ""}

testinfra_hosts = ["ansible://app"]
Deploy = Callable[..., "subprocess.CompletedProcess[str]"]


def push(**files: str | None) -> str:
    """Commit the app with these files changed (None: removed) to the server's main; gives the commit."""
    tree = {path.name: path.read_text(encoding="utf-8") for path in SOURCE.iterdir() if path.is_file()}
    tree.update({name.replace("__", "."): text for name, text in files.items() if text is not None})
    for name in (name.replace("__", ".") for name, text in files.items() if text is None):
        del tree[name]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in tree.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    command = ["docker", "exec", "-i", "minato-app-outside", "git-import", "hello"]
    done = subprocess.run(command, input=b64encode(archive.getvalue()), capture_output=True, check=True)
    return done.stdout.decode().split()[0]


def commit_of_main() -> str:
    command = ["docker", "exec", "minato-app-outside", "git", "-C", "/srv/git/hello.git", "rev-parse", "main"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def manifest(host: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file("/opt/hello/current/RELEASE.json").content_string)
    return found


def releases(host: Any) -> list[str]:
    return sorted(host.check_output("ls /opt/hello/releases | grep -v json$").split())


def as_app(host: Any, command: str) -> Any:
    return host.run("runuser -u hello -- sh -c %s", command)


@pytest.fixture
def deploy(play_role: Callable[..., Any]) -> Deploy:
    """Run the role with the scenario's own input, changed by the keywords."""

    def run(*arguments: str, **changes: Any) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = play_role(
            "app", {"app_releases": [{**INPUT, **changes}]}, *arguments, hosts="app"
        )
        return done

    return run


def test_the_user_is_a_system_user_that_cannot_log_in(host: Any) -> None:
    """S1.5, S3.1."""
    user = host.user("hello")
    assert user.uid < 1000
    assert user.shell == "/usr/sbin/nologin"
    assert user.home == "/opt/hello"


@pytest.mark.parametrize(
    ("path", "owner", "group", "mode"),
    [
        ("/opt/hello", "root", "root", 0o755),
        ("/opt/hello/releases", "root", "root", 0o755),
        ("/opt/hello/shared", "root", "hello", 0o750),
        ("/opt/hello/shared/data", "hello", "hello", 0o750),
        ("/var/cache/minato-app/hello", "hello", "hello", 0o700),
    ],
)
def test_directories_belong_to_whom_they_should(host: Any, path: str, owner: str, group: str, mode: int) -> None:
    directory = host.file(path)
    assert (directory.user, directory.group, directory.mode) == (owner, group, mode)


def test_current_is_the_commit_that_git_has(host: Any) -> None:
    """S1.3."""
    commit = commit_of_main()
    found = manifest(host)
    assert found["commit"] == commit
    assert found["id"] == f"0001-{commit[:12]}"
    assert (found["state"], found["version"], found["repository"]) == ("active", "main", INPUT["repository"])
    assert (found["author"], found["committed_at"]) == ("Fleet Test", "2025-04-01T09:00:00+09:00")
    assert host.check_output("readlink /opt/hello/current") == f"releases/{found['id']}"


def test_the_files_are_the_commits_without_history(host: Any) -> None:
    assert host.file("/opt/hello/current/migrate.js").content_string == (SOURCE / "migrate.js").read_text(
        encoding="utf-8"
    )
    assert not host.file("/opt/hello/current/.git").exists
    assert host.file("/opt/hello/current/node_modules/ms/package.json").exists


def test_the_app_can_read_its_release_and_change_nothing_of_it(host: Any) -> None:
    foreign = "find /opt/hello/current/ /opt/hello/releases ! -type l '(' -user hello -o -perm /022 ')'"
    assert host.check_output(foreign) == ""
    assert host.check_output("find /opt/hello/current/ ! -type l -perm /007") == ""
    assert as_app(host, "cat /opt/hello/current/package.json /opt/hello/current/.env").rc == 0
    for attempt in (
        "echo >> /opt/hello/current/build.js",
        "rm /opt/hello/current/build.js",
        "touch /opt/hello/current/node_modules/new",
        "ln -sfn /tmp /opt/hello/current",
        "mv /opt/hello/shared/.env /opt/hello/shared/old",
    ):
        result = as_app(host, attempt)
        assert result.rc != 0, attempt
        assert "Permission denied" in result.stderr


def test_steps_run_as_the_app_with_limits_and_a_home_of_their_own(host: Any) -> None:
    """S1.11: a build must not take the memory of the box."""
    seen = json.loads(host.file("/opt/hello/current/dist/build.json").content_string)
    assert seen["uid"] == host.user("hello").uid
    assert seen["memory"] == 2**30
    assert seen["env"]["HOME"] == "/var/cache/minato-app/hello"
    assert "/opt/node/20/bin:/usr/local/sbin" in seen["env"]["PATH"]
    assert seen["env"]["NODE_EXTRA_CA_CERTS"] == "/etc/ssl/certs/ca-certificates.crt"


def test_the_migrations_secret_reaches_the_migration_alone(host: Any) -> None:
    """S1.4."""
    assert "MIGRATION_PASSWORD" not in host.file("/opt/hello/current/dist/build.json").content_string
    assert as_app(host, "cat /opt/hello/migrate.env").rc != 0
    assert SECRET not in host.check_output("journalctl --no-pager")


def test_the_migration_ran_once(host: Any) -> None:
    assert host.file("/opt/hello/shared/data/migrations.log").content_string.split() == [manifest(host)["id"]]


def test_a_pushed_commit_is_deployed_and_then_left_alone(host: Any, deploy: Deploy) -> None:
    """S1.3."""
    commit = push(page="second version")
    done = deploy()
    assert done.returncode == 0, done.stdout
    found = manifest(host)
    assert found["id"] == f"0002-{commit[:12]}"
    assert host.file("/opt/hello/current/page").content_string == "second version"
    assert len(releases(host)) == 2
    assert host.file("/opt/hello/shared/data/migrations.log").content_string.split()[1:] == [found["id"]]
    again = deploy("-v")
    assert "changed=0" in again.stdout
    assert SECRET not in done.stdout + again.stdout


def test_a_broken_build_leaves_the_running_release_alone(host: Any, deploy: Deploy) -> None:
    before = manifest(host)["id"]
    commit = push(build__js="console.log('line of the build'); process.exit(3)")
    done = deploy()
    assert done.returncode != 0
    assert "line of the build" in done.stdout
    assert "`npm run build` ended with exit code 3" in done.stdout
    assert f"Running is still {before}. Mend the cause and run again" in done.stdout
    assert manifest(host)["id"] == before
    bad = json.loads(host.file(f"/opt/hello/releases/0003-{commit[:12]}.json").content_string)
    assert bad["state"] == "bad"
    assert "exit code 3" in bad["reason"]


def test_the_next_good_commit_replaces_the_broken_one(host: Any, deploy: Deploy) -> None:
    commit = push(page="third version")
    done = deploy()
    assert done.returncode == 0, done.stdout
    assert manifest(host)["id"] == f"0004-{commit[:12]}"
    assert [name[:4] for name in releases(host)] == ["0001", "0002", "0004"]


def test_a_failed_migration_is_shown_without_its_secret(host: Any, deploy: Deploy) -> None:
    """S1.4."""
    before = manifest(host)["id"]
    push(migrate__js="throw new Error('cannot log in with ' + process.env.MIGRATION_PASSWORD)")
    done = deploy("-vvv")
    assert done.returncode != 0
    assert "cannot log in with ********" in done.stdout
    assert SECRET not in done.stdout
    assert manifest(host)["id"] == before


def test_a_missing_lockfile_is_refused_with_the_remedy(host: Any, deploy: Deploy) -> None:
    before = manifest(host)["id"]
    push(**{"package-lock__json": None})
    done = deploy()
    assert done.returncode != 0
    assert (
        "needs a lockfile, which the repository lacks: run `npm install` there, commit package-lock.json" in done.stdout
    )
    assert manifest(host)["id"] == before


def test_an_unknown_version_is_refused_before_anything_changes(host: Any, deploy: Deploy) -> None:
    before = releases(host)
    done = deploy(version="no-such-branch")
    assert done.returncode != 0
    assert "hello: version no-such-branch is neither a branch nor a tag of the repository" in done.stdout
    assert releases(host) == before


def test_a_repositorys_password_is_never_shown(deploy: Deploy) -> None:
    """S1.4."""
    done = deploy("-vvv", repository="https://bot:geheim%40wort@localhost:1/hello.git")
    assert "hello: ls-remote of https://localhost:1/hello.git: fatal: unable to access" in done.stdout
    assert "geheim" not in done.stdout


def test_a_killed_deploy_is_cleared_away_by_the_next_run(host: Any, deploy: Deploy, tmp_path: Path) -> None:
    before = manifest(host)["id"]
    commit = push(page="fourth version")
    playbook = tmp_path / "killed.yml"
    stuck = {"role": "minato.fleet.app", "vars": {"app_releases": [{**INPUT, "build": "sleep 300"}]}}
    playbook.write_text(json.dumps([{"hosts": "app", "gather_facts": False, "roles": [stuck]}]), encoding="utf-8")
    run = subprocess.Popen(ansible_playbook(playbook), stdout=subprocess.DEVNULL, start_new_session=True)
    for _attempt in range(300):
        if host.run("pgrep -u hello -x sleep").rc == 0:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the build never started")
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert manifest(host)["id"] == before
    done = deploy()
    assert done.returncode == 0, done.stdout
    assert manifest(host)["commit"] == commit
    assert host.run("pgrep -u hello").rc != 0
    assert not any(json.loads(host.file(path).content_string)["state"] == "building" for path in manifests(host))


def manifests(host: Any) -> list[str]:
    paths: list[str] = host.check_output("ls /opt/hello/releases/*.json").split()
    return paths


def test_an_older_commit_that_is_still_there_needs_no_build(host: Any, deploy: Deploy) -> None:
    newest, wanted = manifest(host)["id"], releases(host)[1]
    migrations = host.file("/opt/hello/shared/data/migrations.log").content_string
    done = deploy(version=wanted.split("-")[1])
    assert done.returncode == 0, done.stdout
    assert manifest(host)["id"] == wanted
    assert json.loads(host.file(f"/opt/hello/releases/{newest}.json").content_string)["state"] == "ready"
    assert host.file("/opt/hello/shared/data/migrations.log").content_string == migrations
    assert deploy().returncode == 0
    assert manifest(host)["id"] == newest


def test_five_finished_releases_stay(host: Any, deploy: Deploy) -> None:
    """S1.11: releases must not fill the disk."""
    for version in range(3):  # on top of those before
        push(page=f"one of many, {version}")
        done = deploy(**QUICK)
        assert done.returncode == 0, done.stdout
    found = releases(host)
    assert len(found) == 5
    assert found[-1] == manifest(host)["id"]
    assert len(manifests(host)) == 5
