"""What the role app promises of a deploy key: it opens one repository, of a server that is known, and stays nowhere."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import testinfra
from ansible_collections.minato.fleet.molecule.shared import git
from ansible_collections.minato.fleet.molecule.shared.playbook import ROOT, ansible_playbook, run_playbook

SCENARIO = Path(__file__).parents[1]
SERVER = "minato-app-outside"
SECONDS = 12  # that the server takes where somebody wants to look meanwhile
# Some 25 deploys, in which nothing depends on the host's release.
pytestmark = pytest.mark.skipif(
    "WHOLE_RUN" in os.environ and os.environ["IMAGE"] != "minato-host:bookworm",
    reason="on Debian 12 alone where all scenarios run",
)


class World:
    """The hosts, the repository, and who is let in: the key "deploy", and nobody else."""

    def __init__(self, directory: Path) -> None:
        self.host = testinfra.get_host("docker://minato-app")
        self.bare = testinfra.get_host("docker://minato-app-bare")
        self.server = testinfra.get_host(f"docker://{SERVER}")
        self.directory = directory
        for name in ("deploy", "stranger"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(directory / name)]
            subprocess.run(words, check=True)
        self.let_in("deploy")
        self.commits = [self.push(page="first"), self.push(page="second")]
        self.server.check_output("git -C /srv/git/private.git tag --force v1.0.0 %s", self.commits[0])

    def push(self, **files: str) -> str:
        return str(git.push(SERVER, "private", SCENARIO / "files" / "hello", dict(files)))

    def key(self, name: str) -> str:
        return (self.directory / name).read_text(encoding="utf-8")

    def let_in(self, name: str) -> None:
        public = (self.directory / f"{name}.pub").read_text(encoding="utf-8").strip()
        line = f'restrict,command="/usr/local/bin/serve-private" {public}'
        self.server.check_output("echo %s > /home/git/.ssh/authorized_keys", line)

    def host_keys(self) -> list[str]:
        """What the server's operators would publish."""
        keys: str = self.server.check_output("cat /etc/ssh/ssh_host_*_key.pub")
        return keys.splitlines()

    @contextmanager
    def slow(self) -> Iterator[None]:
        self.server.check_output(f"echo {SECONDS} > /srv/seconds")
        try:
            yield
        finally:
            self.server.check_output("rm /srv/seconds")

    def wanted(self, key: str, **changes: Any) -> list[str]:
        """The arguments of a deploy, by way of a file: a vault's is none of the command line either."""
        release = {
            "name": "private",
            "user": "private",
            "home": "/opt/private",
            "repository": "ssh://git@outside.test/private.git",
            "repository_host_keys": self.host_keys(),
            "version": "main",
            "install": "",
        }
        variables = {
            "app_releases": [{**release, **changes}],
            "app_deploy_keys": {"private": self.key(key)} if key else {},
            "app_artifacts": str(self.directory / "artifacts"),
        }
        path = self.directory / "wanted.json"
        path.write_text(json.dumps(variables), encoding="utf-8")
        return ["--extra-vars", f"@{path}"]

    def deploy(
        self, *arguments: str, key: str = "deploy", limit: str = "minato-app", **changes: Any
    ) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = run_playbook(
            SCENARIO / "private.yml", "--limit", limit, *self.wanted(key, **changes), *arguments
        )
        return done

    def commit(self, host: Any = None) -> str:
        """The commit that serves."""
        found = json.loads((host or self.host).file("/opt/private/current/RELEASE.json").content_string)
        return str(found["commit"])

    def lines(self, name: str = "deploy") -> list[str]:
        """Those of the key's lines that it shares with no other key."""
        return self.key(name).splitlines()[3:5]

    def traces(self, host: Any = None) -> str:
        """Where on a host a line of the key is: files, the journal, arguments and environments of processes."""
        name = (host or self.host).backend.name
        script = (SCENARIO / "files" / "traces.py").read_text(encoding="utf-8")
        done = subprocess.run(
            ["docker", "exec", "-i", name, "python3", "-c", script],
            input="\n".join(self.lines()),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def ssh_pid(self) -> str:
        """The process of ssh that asks the server, once it is there."""
        for _attempt in range(600):
            found = self.host.run("pgrep -x ssh")
            if found.rc == 0:
                return str(found.stdout.split()[0])
            time.sleep(0.1)
        raise AssertionError("ssh never asked")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("keys"))


def test_the_search_for_traces_finds_what_is_there(world: World) -> None:
    for path in ("/var/tmp/left", "/root/.ansible/left"):
        world.host.check_output("mkdir -p /root/.ansible && echo %s > %s", f"x{world.lines()[0]}x", path)
        assert world.traces() == path
        world.host.check_output("rm %s", path)
    assert world.traces() == ""


@pytest.mark.parametrize(("version", "index"), [("v1.0.0", 0), ("main", 1)], ids=["tag", "branch"])
def test_a_private_repository_is_deployed_from(world: World, version: str, index: int) -> None:
    done = world.deploy("-vvvv", version=version)
    assert done.returncode == 0, done.stdout
    assert world.commit() == world.commits[index]
    assert not any(line in done.stdout for line in world.lines())
    assert world.traces() == ""


def test_so_is_a_commit_that_is_the_newest_of_nothing(world: World) -> None:
    first, second = (world.push(page=f"{which}, {time.time()}") for which in ("neither", "nor"))
    done = world.deploy("-v", version=first)
    assert done.returncode == 0, done.stdout
    assert world.commit() == first != second


def test_a_second_run_changes_nothing(world: World) -> None:
    assert world.deploy().returncode == 0
    done = world.deploy("-v")
    assert "changed=0" in done.stdout, done.stdout


def test_the_journal_says_that_there_was_a_key_and_not_which(world: World) -> None:
    journal = world.host.check_output("journalctl --no-pager | grep minato.fleet.release")
    assert "deploy_key=NOT_LOGGING_PARAMETER" in journal
    assert "deploy_keys=NOT_LOGGING_PARAMETER" in journal


@pytest.mark.parametrize("build_on", ["host", "controller"])
@pytest.mark.parametrize(
    ("key", "host_keys", "sentence"),
    [
        (
            "stranger",
            None,
            r"{server} does not let the deploy key SHA256:\S+ in\. Enter its public half there",
        ),
        (
            "deploy",
            ["{other}"],
            r"{server} shows another host key than those of repository_host_keys\. Compare these with what",
        ),
        (
            "deploy",
            [],
            r'{server} shows a host key that is not known here\. .* `repository_host_keys: \["{server} ssh-ed',
        ),
    ],
    ids=["another key", "another host key", "no known host key"],
)
def test_nobody_else_is_let_in_and_no_other_server_is_believed(
    world: World, build_on: str, key: str, host_keys: list[str] | None, sentence: str
) -> None:
    before = world.host.check_output("ls /opt/private/releases; readlink -f /opt/private/current")
    server = "outside.test" if build_on == "host" else git.address(SERVER)
    other = (world.directory / "stranger.pub").read_text(encoding="utf-8").strip()
    changes: dict[str, Any] = {} if host_keys is None else {"repository_host_keys": [other for _key in host_keys]}
    done = world.deploy(
        "-vvvv", key=key, build_on=build_on, repository=f"ssh://git@{server}/private.git", node_version="", **changes
    )
    assert done.returncode != 0
    assert re.search(sentence.replace("{server}", re.escape(server)), done.stdout), done.stdout
    assert "Nothing was changed" in done.stdout
    assert not any(line in done.stdout for name in ("deploy", "stranger") for line in world.lines(name))
    assert world.host.check_output("ls /opt/private/releases; readlink -f /opt/private/current") == before
    assert world.traces() == ""


def test_without_host_keys_those_count_that_root_knows(world: World) -> None:
    kind, text = next(key for key in world.host_keys() if "ed25519" in key).split()[:2]
    world.host.check_output(
        "mkdir -p -m 700 /root/.ssh && echo %s > /root/.ssh/known_hosts", f"outside.test {kind} {text}"
    )
    try:
        done = world.deploy(repository_host_keys=[])
    finally:
        world.host.check_output("rm /root/.ssh/known_hosts")
    assert done.returncode == 0, done.stdout


def test_what_is_no_key_is_refused_with_the_remedy(world: World) -> None:
    done = world.deploy("-vvvv", key="deploy.pub")
    assert done.returncode != 0
    assert "the deploy key is the public half of a key. Write the private one" in done.stdout


@pytest.mark.parametrize("pipelining", ["True", "False"])
def test_no_file_has_it_while_it_is_in_use_either(
    world: World, monkeypatch: pytest.MonkeyPatch, pipelining: str
) -> None:
    """Also where Ansible would send modules as files."""
    monkeypatch.setenv("ANSIBLE_PIPELINING", pipelining)
    commit = world.push(page=f"with pipelining {pipelining}, {time.time()}")
    with world.slow(), started(world, version=commit) as run:
        place = world.host.check_output(f"tr '\\0' ' ' < /proc/{world.ssh_pid()}/cmdline").split("-i ")[1].split()[0]
        assert world.lines()[0] in world.host.check_output("cat %s", place), "it is there"
        assert world.host.check_output("readlink %s", place) == "/memfd:minato-fleet (deleted)"
        assert world.traces() == ""
        assert run.wait() == 0
    assert world.commit() == commit
    assert world.host.run("test -e %s", place).rc != 0
    assert world.traces() == ""


@contextmanager
def started(world: World, **changes: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A deploy that runs meanwhile, and has ended afterwards."""
    command = [*ansible_playbook(SCENARIO / "private.yml"), "--limit", "minato-app", *world.wanted("deploy", **changes)]
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield run
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()


@pytest.mark.parametrize("killed", ["the controller", "the module"])
def test_a_deploy_that_is_killed_leaves_nothing_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    monkeypatch.setenv("ANSIBLE_PIPELINING", "False")
    commit = world.push(page=f"killed is {killed}, {time.time()}")
    with world.slow(), started(world, version=commit) as run:
        ssh = world.ssh_pid()
        holder = re.findall(r"/proc/(\d+)/fd/", world.host.check_output(f"tr '\\0' ' ' < /proc/{ssh}/cmdline"))[0]
        if killed == "the controller":
            os.killpg(run.pid, signal.SIGKILL)
        else:
            world.host.check_output("kill -9 %s", holder)
        assert world.traces() == ""
        run.wait()
        world.host.check_output(
            f"timeout 60 sh -c 'while kill -0 {ssh} || kill -0 {holder}; do sleep 0.2; done' 2>/dev/null"
        )
    assert world.traces() == ""
    done = world.deploy(version=commit)
    assert done.returncode == 0, done.stdout
    assert world.commit() == commit


def test_where_a_file_would_stay_the_key_is_not_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_KEEP_REMOTE_FILES", "True")
    done = world.deploy()
    world.host.check_output("rm -rf /root/.ansible/tmp")
    assert done.returncode != 0
    assert "The deploy key was not sent, as this connection would write it to a file on the host." in done.stdout


def test_a_key_with_which_the_controller_asks_stays_there(world: World) -> None:
    """The other host has no way to the server."""
    commit = world.push(page=f"built on the controller, {time.time()}")
    repository = f"ssh://git@{git.address(SERVER)}/private.git"
    done = world.deploy(
        "-vvvv",
        limit="minato-app-bare",
        repository=repository,
        build_on="controller",
        node_version="",
        repository_host_keys=[line.rsplit(" ", 1)[0] for line in world.host_keys()],
    )
    assert done.returncode == 0, done.stdout
    assert world.commit(world.bare) == commit
    assert not any(line in done.stdout for line in world.lines())
    assert world.traces(world.bare) == ""
    assert not world.bare.exists("git")
    archives = (world.directory / "artifacts").rglob("*")
    assert not any(line.encode() in path.read_bytes() for path in archives if path.is_file() for line in world.lines())
