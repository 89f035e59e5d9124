# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whole runs of playbooks/tasks/deploy_due.yml over four hosts behind a load balancer of the emulated cloud."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import typing as t
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest
import yaml
from ansible_collections.minato.fleet.tests.aws.server import running

ROOT = Path(__file__).parents[4]
REGION = "eu-west-1"
HOSTS = [f"web-{number}" for number in range(1, 5)]
DUE = [{"name": "api", "id": "0002", "action": "deploy"}, {"name": "site", "id": "0002", "action": "start"}]
IDLE = [{"name": "api", "id": "0001", "action": "none"}]
FLEET = {
    "lightsail": {
        "instances": [{"name": "web-{n}", "count": 5}],
        "load_balancers": [
            {"name": "public", "instances": HOSTS},
            {"name": "single", "instances": ["web-1"]},
            {"name": "partial", "instances": ["web-2", "web-3"]},
            {"name": "ill", "instances": ["web-1", "web-3", "web-4"], "failing": ["web-2"]},
            {"name": "half", "instances": ["web-3", "web-4"], "failing": ["web-3"]},
        ],
    },
    "ec2": {
        "instances": [{"name": "web-{n}", "count": 4}],
        "target_groups": [{"name": "public", "port": 443, "instances": HOSTS}],
    },
}
# Appends a line: the host, the app, how the load balancer sees the host, and how many others are healthy.
ASKING = """
import boto3, os, sys
host, app = sys.argv[1:]
held = boto3.client("lightsail", region_name="eu-west-1").get_load_balancer(loadBalancerName=os.environ["ASKED"])
states = {one["instanceName"]: one["instanceHealth"] for one in held["loadBalancer"]["instanceHealthSummary"]}
others = sum(state == "healthy" for name, state in states.items() if name != host)
with open(os.environ["SEEN"], "a") as seen:
    seen.write(f"{host} {app} {states.get(host, 'out')} {others}\\n")
"""


@pytest.fixture(scope="module")
def served() -> t.Iterator[str]:
    with running() as url:
        yield url


@dataclass
class Run:
    """What a run said, and what each deploy saw."""

    code: int
    said: str
    seen: list[str] = field(default_factory=list)


@dataclass
class World:
    """Hosts that are all this machine, each with its own note of being out, and the cloud."""

    url: str
    path: Path

    def control(self, method: str, path: str, body: t.Any = None) -> t.Any:
        sent = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_cloud{path}", sent, method=method)) as answer:
            return json.load(answer)

    def operations(self) -> set[str]:
        return {call["operation"] for call in self.control("GET", "/calls")}

    def healthy(self, name: str = "public") -> list[str]:
        held = boto3.client("lightsail", region_name=REGION).get_load_balancer(loadBalancerName=name)["loadBalancer"]
        return sorted(
            one["instanceName"] for one in held["instanceHealthSummary"] if one["instanceHealth"] == "healthy"
        )

    def detach(self, host: str, name: str = "public") -> None:
        client = boto3.client("lightsail", region_name=REGION)
        client.detach_instances_from_load_balancer(loadBalancerName=name, instanceNames=[host])

    def mark(self, host: str) -> Path:
        """The note that a run which was stopped has left on a host."""
        note = self.path / host / "left"
        note.parent.mkdir()
        note.touch()
        return note

    def notes(self) -> list[str]:
        return sorted(note.parent.name for note in self.path.glob("*/left"))

    def run(self, balancer: dict[str, t.Any], *more: str, **says: t.Any) -> Run:
        """Deploy what is due on the hosts."""
        name = str(balancer.get("lightsail", ""))
        every = {
            "ansible_connection": "local",
            "fleet_region": REGION,
            "fleet_balancer": {"timeout": 20, **balancer},
            "app_due": DUE,
            "failing": [],
            "asking": str(self.path / "asking.py"),
            **says.pop("variables", {}),
        }
        hosts = {host: says.get("hosts", {}).get(host, {}) for host in says.pop("on", HOSTS)}
        (self.path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": every}}))
        environment = {"ANSIBLE_HOME": str(ROOT / ".ansible"), "ANSIBLE_LOCALHOST_WARNING": "false", "ASKED": name}
        command = ["ansible-playbook", "-v", "-i", str(self.path / "hosts.yml"), str(self.path / "play.yml"), *more]
        seen = self.path / "seen"
        seen.unlink(missing_ok=True)
        ran = subprocess.run(
            command, env={**os.environ, **environment, "SEEN": str(seen)}, capture_output=True, text=True, check=False
        )
        return Run(ran.returncode, ran.stdout + ran.stderr, seen.read_text().splitlines() if seen.exists() else [])


@pytest.fixture
def world(served: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Iterator[World]:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_CONFIG_FILE": "none"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": served, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "tasks").mkdir()
    shutil.copy(ROOT / "playbooks/tasks/deploy_due.yml", tmp_path / "tasks")
    shutil.copy(Path(__file__).with_name("balancer_deploy.yml"), tmp_path / "tasks/deploy.yml")
    shutil.copytree(ROOT / "playbooks/vars", tmp_path / "vars")
    (tmp_path / "asking.py").write_text(ASKING)
    # As host_apps.yml and rollback.yml have it.
    real = yaml.safe_load((ROOT / "playbooks/host_apps.yml").read_text(encoding="utf-8"))[0]
    quick = {"minato.fleet.balancer": {"delay": 0.2, "marker": f"{tmp_path}/{{{{ inventory_hostname }}}}/left"}}
    play = {
        **{key: real[key] for key in ("serial", "max_fail_percentage", "vars_files")},
        "hosts": "all",
        "gather_facts": False,
        "module_defaults": quick,
        "tasks": [{"name": "Deploy", "ansible.builtin.import_tasks": "tasks/deploy_due.yml"}],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    made = World(served, tmp_path)
    made.control("POST", "/reset")
    made.control("POST", "/fleet", {"regions": {REGION: FLEET}})
    yield made
    made.control("POST", "/reset")


def test_each_host_is_out_while_it_is_worked_on(world: World) -> None:
    world.control("PATCH", "/settings", {"delay": 0.5})
    run = world.run({"lightsail": "public"})
    assert run.code == 0, run.said
    # One, half, and the rest; before each, all that were there are healthy again.
    assert sorted(run.seen[:2]) == ["web-1 api out 3", "web-1 site out 3"]
    assert sorted(run.seen[2:6]) == sorted(f"{host} {app} out 2" for host in HOSTS[1:3] for app in ("api", "site"))
    assert sorted(run.seen[6:]) == ["web-4 api out 3", "web-4 site out 3"]
    assert world.healthy() == HOSTS
    assert world.notes() == []


def test_a_target_group(world: World) -> None:
    client = boto3.client("ec2", region_name=REGION)
    found = [one for group in client.describe_instances()["Reservations"] for one in group["Instances"]]
    hosts = {one["Tags"][0]["Value"]: {"instance_id": one["InstanceId"]} for one in found}
    run = world.run({"target_group": "public"}, on=HOSTS[:2], hosts=hosts, variables={"app_due": []})
    assert (run.code, run.said.count("changed=0")) == (0, 2), run.said
    assert "DescribeTargetHealth" not in world.operations()
    # What the deploy writes down is of the other kind, where these hosts are healthy all the time.
    run = world.run({"target_group": "public"}, on=HOSTS[:2], hosts=hosts, variables={"asking": "-c pass"})
    assert run.code == 0, run.said
    counts = {call["operation"]: call["count"] for call in world.control("GET", "/calls")}
    assert (counts["DeregisterTargets"], counts["RegisterTargets"]) == (2, 2)
    assert world.notes() == []


def test_a_failed_deploy_ends_the_run_with_every_host_back(world: World) -> None:
    run = world.run({"lightsail": "public"}, variables={"failing": ["web-2"]})
    assert run.code != 0
    assert "api failed on web-2, and was taken back." in run.said
    assert {line.split()[0] for line in run.seen} == {"web-1", "web-2", "web-3"}, "web-4 was not to be touched"
    assert world.healthy() == HOSTS
    assert world.notes() == []


def test_nothing_due_asks_aws_nothing(world: World) -> None:
    world.control("DELETE", "/calls")
    run = world.run({"lightsail": "public"}, variables={"app_due": []})
    assert (run.code, run.said.count("changed=0")) == (0, 4), run.said
    run = world.run({"lightsail": "public"}, variables={"app_due": IDLE, "asking": "-c pass"})
    assert run.code == 0, run.said
    assert world.operations() == set()


def test_what_a_stopped_run_has_left_out_is_put_back(world: World) -> None:
    world.detach("web-1")
    world.mark("web-1")
    run = world.run({"lightsail": "public"}, "--check", variables={"app_due": []})
    assert (run.code, world.notes()) == (0, ["web-1"]), run.said
    run = world.run({"lightsail": "public"}, variables={"app_due": []})
    assert run.code == 0, run.said
    assert world.healthy() == HOSTS
    assert world.notes() == []


def test_the_only_host_stays_in(world: World) -> None:
    run = world.run({"lightsail": "single"}, on=["web-1"])
    assert (run.code, run.seen) == (0, ["web-1 api healthy 0", "web-1 site healthy 0"]), run.said
    assert "WARNING" not in run.said
    assert "DetachInstancesFromLoadBalancer" not in world.operations()


def test_the_last_healthy_host_stays_in_and_that_is_said(world: World) -> None:
    run = world.run({"lightsail": "half"}, on=["web-4"])
    assert (run.code, run.seen[0]) == (0, "web-4 api healthy 0"), run.said
    assert "web-4 stays in the load balancer half of Lightsail in eu-west-1: no other" in " ".join(run.said.split())


def test_a_host_that_is_none_of_its_instances_is_refused_before_its_deploy(world: World) -> None:
    run = world.run({"lightsail": "partial"})
    assert run.code != 0
    assert run.seen == []
    assert (
        "web-1 is not an instance of the load balancer partial of Lightsail in eu-west-1, whose instances" in run.said
    )
    assert world.healthy("partial") == ["web-2", "web-3"]


def test_a_host_that_is_not_healthy_again_ends_the_run(world: World) -> None:
    note = world.mark("web-2")
    run = world.run({"lightsail": "ill", "timeout": 2})
    assert run.code != 0
    assert {line.split()[0] for line in run.seen} == {"web-1", "web-2", "web-3"}
    assert "did not call web-2 healthy within 2 s. It was not in it, then unhealthy" in " ".join(run.said.split())
    assert world.healthy("ill") == ["web-1", "web-3", "web-4"]
    assert note.exists(), "the next run has to wait for it again"


def test_a_dry_run_takes_nothing_out(world: World) -> None:
    run = world.run({"lightsail": "public"}, "--check", on=HOSTS[:2])
    assert run.code == 0, run.said
    assert "web-1 would leave the load balancer public" in run.said
    assert "DetachInstancesFromLoadBalancer" not in world.operations()
    assert world.notes() == []
