"""What the role app promises, seen from outside: on disk, as the app's user, and when things go wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.molecule.shared import git
from ansible_collections.minato.fleet.molecule.shared.playbook import ansible_playbook, run_playbook

SCENARIO = Path(__file__).parents[1]
AGAIN = SCENARIO / "releases.yml"
SOURCE = SCENARIO / "files" / "hello"
INPUT = yaml.safe_load((SCENARIO / "vars.yml").read_text(encoding="utf-8"))["app_releases"][0]
SECRET = "only-for-migrations"
QUICK = {"install": "", "build": "", "migrate": ""}

testinfra_hosts = ["ansible://app"]


def push(**files: str | None) -> str:
    """Commit the app with these files changed (None: removed) to the server's main; gives the commit."""
    changes = {name.replace("__", "."): text for name, text in files.items()}
    return str(git.push("minato-app-outside", "hello", SOURCE, changes))


def commit_of_main() -> str:
    command = ["docker", "exec", "minato-app-outside", "git", "-C", "/srv/git/hello.git", "rev-parse", "main"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def one_line(text: str) -> str:
    """Ansible breaks a warning's line where it likes."""
    return " ".join(text.split())


def manifest(host: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file("/opt/hello/current/RELEASE.json").content_string)
    return found


def releases(host: Any) -> list[str]:
    return sorted(host.check_output("ls /opt/hello/releases | grep -v json$").split())


def upcoming(host: Any, commit: str) -> str:
    """The id of the next release."""
    numbers = [int(Path(path).name.split("-")[0]) for path in manifests(host)]
    return f"{max(numbers) + 1:04d}-{commit[:12]}"


def live(host: Any) -> str:
    """The slot that serves."""
    slot: str = host.check_output("readlink /opt/hello/current").removeprefix("slots/")
    assert host.check_output("ls /opt/hello/slots").split() == [slot, f"{slot}.env"], "the other is empty"
    return slot


def as_app(host: Any, command: str) -> Any:
    return host.run("runuser -u hello -- sh -c %s", command)


def deploy(*arguments: str, reserve_mb: int = 512, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Deploy with the scenario's own input, changed by the keywords."""
    wanted = [{**INPUT, **changes}]
    done: subprocess.CompletedProcess[str] = run_playbook(
        AGAIN, *arguments, app_releases=wanted, app_disk_reserve_mb=reserve_mb
    )
    return done


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
        ("/opt/hello/slots", "root", "root", 0o755),
        ("/opt/hello/slots/a.env", "hello", "hello", 0o600),
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
    assert host.check_output("readlink /opt/hello/current") == "slots/a"
    assert host.check_output("readlink /opt/hello/slots/a") == f"../releases/{found['id']}"


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


def test_a_pushed_commit_is_deployed_and_then_left_alone(host: Any) -> None:
    """S1.3. The environment's GREETING, of which the new example says nothing, is worth a warning."""
    commit = push(page="second version", __env__example="MIGRATION_PASSWORD=\n# DEBUG=\n")
    wanted, before = upcoming(host, commit), live(host)
    done = deploy()
    assert done.returncode == 0, done.stdout
    found = manifest(host)
    assert found["id"] == wanted == releases(host)[-1]
    assert {before, live(host)} == {"a", "b"}
    assert host.file("/opt/hello/current/page").content_string == "second version"
    assert "hello: /opt/hello/shared/.env has GREETING, which .env.example does not know" in one_line(done.stdout)
    assert host.file("/opt/hello/shared/data/migrations.log").content_string.split()[-1] == found["id"]
    again = deploy("-v")
    assert "changed=0" in again.stdout
    assert "Let other runs in again" not in again.stdout, "nothing is due"
    assert "GREETING" not in again.stdout
    assert SECRET not in done.stdout + again.stdout


def test_a_key_that_the_example_asks_for_stops_the_deploy_before_anything_is_installed(host: Any) -> None:
    """S1.4, note: a key that somebody forgot is noticed before the switch, not by the patients."""
    before = manifest(host)["id"]
    commit = push(__env__example="GREETING=\nSMTP_HOST=mail.test\nSMTP_PASSWORD=\n")
    bad = f"/opt/hello/releases/{upcoming(host, commit)}"
    done = deploy("-vvv")
    assert done.returncode != 0
    sentence = "hello: /opt/hello/shared/.env lacks SMTP_HOST, SMTP_PASSWORD, which .env.example asks for: give each"
    assert sentence in done.stdout
    assert SECRET not in done.stdout
    assert manifest(host)["id"] == before
    assert json.loads(host.file(f"{bad}.json").content_string)["state"] == "bad"
    assert not host.file(f"{bad}/node_modules").exists


def test_a_broken_build_leaves_the_running_release_alone(host: Any) -> None:
    before = manifest(host)["id"]
    commit = push(build__js="console.log('line of the build'); process.exit(3)")
    wanted = upcoming(host, commit)
    done = deploy(install="")
    assert done.returncode != 0
    assert "line of the build" in done.stdout
    assert "`npm run build` ended with exit code 3" in done.stdout
    assert f"Running is still {before}." in done.stdout
    assert "Mend the cause and run again" in done.stdout
    assert manifest(host)["id"] == before
    bad = json.loads(host.file(f"/opt/hello/releases/{wanted}.json").content_string)
    assert bad["state"] == "bad"
    assert "exit code 3" in bad["reason"]


def test_the_next_good_commit_replaces_the_broken_one(host: Any) -> None:
    broken = releases(host)[-1]
    wanted = upcoming(host, push(page="third version"))
    done = deploy(**QUICK)
    assert done.returncode == 0, done.stdout
    assert manifest(host)["id"] == wanted == releases(host)[-1]
    assert broken not in releases(host)


def test_a_failed_migration_is_shown_without_its_secret(host: Any) -> None:
    """S1.4."""
    before = manifest(host)["id"]
    push(migrate__js="throw new Error('cannot log in with ' + process.env.MIGRATION_PASSWORD)")
    done = deploy("-vvv", install="", build="")
    assert done.returncode != 0
    assert "cannot log in with ********" in done.stdout
    assert SECRET not in done.stdout
    assert manifest(host)["id"] == before


def test_a_release_that_a_command_of_the_app_refuses_is_taken_back_before_the_switch(host: Any) -> None:
    before, slot = manifest(host)["id"], live(host)
    wanted = upcoming(host, push(page="refused"))
    done = deploy(**QUICK, hooks={"before_switch": {"command": "echo not this one; exit 4"}})
    assert done.returncode != 0
    assert "`echo not this one; exit 4` ended with exit code 4" in done.stdout
    assert f"Running is still {before}." in done.stdout
    assert "Mend the cause and run again" in done.stdout
    assert (manifest(host)["id"], live(host)) == (before, slot)
    assert json.loads(host.file(f"/opt/hello/releases/{wanted}.json").content_string)["state"] == "bad"
    last = json.loads(host.check_output("tail -n 1 /opt/hello/history.jsonl"))
    assert (last["release"], last["result"], last["previous"]) == (wanted, "failed", before)


def test_a_release_may_take_the_place_of_the_one_that_serves(host: Any) -> None:
    slot, commit = live(host), push(page="in its place")
    done = deploy(**QUICK, switch="restart")
    assert done.returncode == 0, done.stdout
    assert (manifest(host)["commit"], live(host)) == (commit, slot)


def test_a_missing_lockfile_is_refused_with_the_remedy(host: Any) -> None:
    before = manifest(host)["id"]
    push(**{"package-lock__json": None})
    done = deploy()
    assert done.returncode != 0
    assert (
        "needs a lockfile, which the repository lacks: run `npm install` there, commit package-lock.json" in done.stdout
    )
    assert manifest(host)["id"] == before


def test_an_unknown_version_is_refused_before_anything_changes(host: Any) -> None:
    before = releases(host)
    done = deploy(version="no-such-branch")
    assert done.returncode != 0
    assert "hello: version no-such-branch is neither a branch nor a tag of the repository" in done.stdout
    assert releases(host) == before


def test_an_unknown_commit_is_told_from_an_unreachable_server(host: Any) -> None:
    before = manifest(host)["id"]
    done = deploy(version="f" * 40)
    assert done.returncode != 0
    assert f"hello: git://outside.test/hello.git has no commit {'f' * 40}: write one of a branch or tag" in done.stdout
    assert manifest(host)["id"] == before


def test_an_unreachable_repository_changes_nothing(host: Any) -> None:
    before = releases(host)
    done = deploy(repository="git://outside.test:1/hello.git")
    assert done.returncode != 0
    assert "hello: ls-remote of git://outside.test:1/hello.git: fatal: unable to connect" in done.stdout
    assert "Nothing was changed: mend repository or version of the app and run again" in done.stdout
    assert releases(host) == before


def test_a_disk_without_room_is_told_in_figures_before_the_checkout(host: Any) -> None:
    """S1.11"""
    before = manifest(host)["id"]
    push(page="too big")
    done = deploy(reserve_mb=10**9)
    assert done.returncode != 0
    figures = (
        r"/opt/hello/releases has \d+ MB free. One more release takes \d+ MB as the running one does, and 1000000000 MB"
    )
    assert re.search(figures, done.stdout)
    assert manifest(host)["id"] == before
    assert not any(json.loads(host.file(path).content_string)["state"] == "building" for path in manifests(host))


def test_a_repositorys_password_is_never_shown() -> None:
    """S1.4."""
    done = deploy("-vvv", repository="https://bot:geheim%40wort@localhost:1/hello.git")
    assert "hello: ls-remote of https://localhost:1/hello.git: fatal: unable to access" in done.stdout
    assert "geheim" not in done.stdout


def test_one_run_at_a_time_and_a_killed_one_is_cleared_away_by_the_next(host: Any) -> None:
    before = manifest(host)["id"]
    commit = push(page=f"fourth version, {time.time()}")  # never built before, on a host that is kept too
    stuck = json.dumps({"app_releases": [{**INPUT, "install": "", "build": "sleep 300"}]})
    run = subprocess.Popen(
        [*ansible_playbook(AGAIN), "--extra-vars", stuck], stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _attempt in range(300):
            if host.run("pgrep -u hello -x sleep").rc == 0:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the build never started")
        second = deploy(**QUICK)
        assert second.returncode != 0
        told = re.search(
            r"hello: another run is deploying it: \S+, process (\d+), since [-0-9: ]+ UTC \(\d+ s\),"
            r" at step build for \d+ s",
            second.stdout,
        )
        assert told
        assert int(told.group(1)) == run.pid
        assert host.run("pgrep -u hello -x sleep").rc == 0
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert manifest(host)["id"] == before
    done = deploy(**QUICK)
    assert done.returncode == 0, done.stdout
    assert manifest(host)["commit"] == commit
    assert host.run("pgrep -u hello").rc != 0
    assert not host.file("/opt/hello/releases/.lock").exists
    assert not any(json.loads(host.file(path).content_string)["state"] == "building" for path in manifests(host))


def manifests(host: Any) -> list[str]:
    paths: list[str] = host.check_output("ls /opt/hello/releases/*.json").split()
    return paths


def test_an_older_commit_that_is_still_there_needs_no_build(host: Any) -> None:
    newest, wanted = manifest(host)["id"], releases(host)[1]
    migrations = host.file("/opt/hello/shared/data/migrations.log").content_string
    done = deploy(version=wanted.split("-")[1])
    assert done.returncode == 0, done.stdout
    assert manifest(host)["id"] == wanted
    assert json.loads(host.file(f"/opt/hello/releases/{newest}.json").content_string)["state"] == "ready"
    assert host.file("/opt/hello/shared/data/migrations.log").content_string == migrations
    assert deploy().returncode == 0
    assert manifest(host)["id"] == newest


def test_five_finished_releases_stay_whatever_their_dates_and_the_running_one_whatever_its_age(host: Any) -> None:
    """S1.11: releases must not fill the disk. Some more, one of them bad; then a switch by hand, and dates that lie."""
    begin = int(upcoming(host, "").split("-")[0])
    more = [f"{number:04d}-{number:012d}" for number in range(begin, begin + 6)]
    for age, name in enumerate(more):
        facts = {"id": name, "state": "bad" if name == more[4] else "ready", "commit": f"{age:040d}"}
        host.check_output("mkdir /opt/hello/releases/%s", name)
        host.check_output("echo %s > /opt/hello/releases/%s.json", json.dumps(facts), name)
        host.check_output("touch --date=%s /opt/hello/releases/%s*", f"{2040 - age}-01-01", name)
    host.check_output("ln -sfn ../releases/%s /opt/hello/slots/%s", more[0], live(host))

    commit = push(page="one of many")
    done = deploy(**QUICK)
    assert done.returncode == 0, done.stdout
    newest = manifest(host)
    assert newest["commit"] == commit
    assert releases(host) == [more[0], more[2], more[3], more[5], newest["id"]]
    assert len(manifests(host)) == 5
    assert "changed=0" in deploy(**QUICK).stdout
