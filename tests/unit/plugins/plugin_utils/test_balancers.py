# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Instances leave load balancers of both kinds and come back, over HTTP, in an emulated cloud."""

from __future__ import annotations

import itertools
import json
import threading
import time
import typing as t
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import yaml
from ansible_collections.minato.fleet.plugins.plugin_utils import balancers
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_clients import CallError
from ansible_collections.minato.fleet.plugins.plugin_utils.balancer_turns import Pace, Turn, come_back, leave
from ansible_collections.minato.fleet.plugins.plugin_utils.balancers import Balancer, BalancerError, State, Target
from ansible_collections.minato.fleet.tests.aws.server import running

HERE = Path(__file__).parent
REGION = "eu-west-1"
FLEET = yaml.safe_load((HERE / "balancers_fleet.yml").read_text(encoding="utf-8"))
FAULTS = yaml.safe_load((HERE / "balancers_faults.yml").read_text(encoding="utf-8"))
KINDS = ("lightsail", "target_group")
QUICK = Pace(delay=0.05, drain=5, timeout=5)


@pytest.fixture(scope="module")
def served() -> t.Iterator[str]:
    with running() as url:
        yield url


@dataclass
class World:
    """The cloud, and what of it is wanted in the language of one kind of balancer."""

    url: str
    kind: str
    ids: dict[str, str]

    def control(self, method: str, path: str, body: t.Any = None) -> t.Any:
        sent = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_cloud{path}", sent, method=method)) as answer:
            return json.load(answer)

    def balancer(self, name: str = "public", **said: t.Any) -> Balancer:
        kinds = dict.fromkeys(KINDS)
        return balancers.connect({**kinds, self.kind: name, "region": REGION, "profile": "", "port": 0, **said})

    def instance(self, name: str) -> str:
        return self.ids.get(name, name) if self.kind == "target_group" else name

    def health(self, name: str, balancer: str = "public") -> str:
        held = self.balancer(balancer)
        state = held.states().get(held.target(self.instance(name)))
        return state.health if state else "out"

    def slow(self, seconds: float) -> None:
        """Let it take so long until an instance is healthy, or gone."""
        self.control("PATCH", "/settings", {"delay": seconds})

    def leave(self, name: str, balancer: str = "public", marked: bool = False, pace: Pace = QUICK) -> Turn:
        return leave(self.balancer(balancer), self.instance(name), marked, pace, lambda: None)

    def come_back(self, name: str, balancer: str = "public", pace: Pace = QUICK) -> Turn:
        return come_back(self.balancer(balancer), self.instance(name), pace)


@pytest.fixture
def cloud(served: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Iterator[World]:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_CONFIG_FILE": "none"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": served, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    world = World(served, "lightsail", {})
    world.control("POST", "/reset")
    world.control("POST", "/fleet", FLEET)
    for group in boto3.client("ec2", region_name=REGION).describe_instances()["Reservations"]:
        for instance in group["Instances"]:
            world.ids[instance["Tags"][0]["Value"]] = instance["InstanceId"]
    yield world
    world.control("POST", "/reset")


@pytest.fixture(params=KINDS)
def world(cloud: World, request: pytest.FixtureRequest) -> World:
    cloud.kind = request.param
    return cloud


def test_an_instance_leaves_and_comes_back(world: World) -> None:
    world.slow(0.5)
    seen: list[str] = []
    turn = leave(world.balancer(), world.instance("web-1"), False, QUICK, lambda: seen.append(world.health("web-1")))
    assert seen == ["healthy"], "the host has to know before it is out"
    assert (turn.changed, turn.out, world.health("web-1")) == (True, True, "out")
    assert turn.said.endswith("public of Lightsail in eu-west-1." if world.kind == "lightsail" else "in eu-west-1.")
    began = time.monotonic()
    back = world.come_back("web-1")
    assert time.monotonic() - began >= 0.5, "nobody waited until it was healthy"
    assert (back.changed, back.out, world.health("web-1")) == (True, False, "healthy")
    assert world.come_back("web-1").changed is False


def test_open_connections_get_so_long_and_no_longer(world: World) -> None:
    world.slow(600)
    began = time.monotonic()
    assert world.leave("web-1", pace=QUICK._replace(drain=0.4)).out
    assert 0.4 <= time.monotonic() - began < 60
    assert world.health("web-1") == "draining"


def test_one_that_is_still_leaving_comes_back(world: World) -> None:
    world.slow(600)
    world.leave("web-1", pace=QUICK._replace(drain=0))
    assert world.health("web-1") == "draining"
    back = threading.Event()

    def hurry() -> None:
        for ahead in itertools.count(601, 700):
            if back.wait(0.5):
                return
            world.control("PATCH", "/settings", {"ahead": ahead})

    clock = threading.Thread(target=hurry)
    clock.start()
    try:
        assert world.come_back("web-1", pace=QUICK._replace(timeout=30)).changed
    finally:
        back.set()
        clock.join()
    assert world.health("web-1") == "healthy"


def test_the_last_healthy_one_stays(world: World) -> None:
    turn = world.leave("web-1", "single")
    assert (turn.changed, turn.out, world.health("web-1", "single")) == (False, False, "healthy")
    assert turn.said.endswith(": no other instance of it is healthy.")


def test_two_that_leave_at_once_do_not_count_on_each_other(world: World) -> None:
    world.slow(0.3)
    with ThreadPoolExecutor(2) as pool:
        turns = list(pool.map(lambda name: world.leave(name, "pair"), ("web-1", "web-2")))
    assert sorted(turn.out for turn in turns) == [False, True]
    assert sorted(world.health(name, "pair") for name in ("web-1", "web-2")) == ["healthy", "out"]


class Hesitant:
    """A balancer that goes on calling an instance healthy, for so many questions after it was taken out."""

    def __init__(self, questions: int) -> None:
        self.left, self.asked_after = questions, 0
        self.out = False

    def __str__(self) -> str:
        return "the hesitant one"

    def target(self, instance: str) -> Target:
        return Target(instance, 0)

    def states(self) -> dict[Target, State]:
        self.asked_after += self.out
        held = {Target("web-1", 0): State("healthy", ""), Target("web-2", 0): State("healthy", "")}
        return held if not self.out or self.asked_after <= self.left else {Target("web-2", 0): State("healthy", "")}

    def take_out(self, target: Target) -> None:
        self.out = True

    def put_in(self, target: Target) -> None:
        raise NotImplementedError


def test_it_has_left_when_the_balancer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    hesitant = Hesitant(3)
    assert leave(hesitant, "web-1", False, Pace(0.01, 0, 5), lambda: None).out
    assert hesitant.asked_after == 4
    with pytest.raises(
        BalancerError, match=r"the hesitant one still calls web-1 healthy 0\.1 s after it was taken out"
    ):
        leave(Hesitant(10**6), "web-1", False, Pace(0.01, 0, 0.1), lambda: None)


def test_one_that_nobody_is_sent_to_stays(world: World) -> None:
    turn = world.leave("web-4")
    assert (turn.changed, turn.out, world.health("web-4")) == (False, False, "unhealthy")
    assert "which sends nobody there: it is unhealthy (" in turn.said


def test_none_of_its_instances(world: World) -> None:
    with pytest.raises(BalancerError) as raised:
        world.leave("web-3", "pair")
    told = ", ".join(sorted(world.instance(name) for name in ("web-1", "web-2")))
    assert f"{world.instance('web-3')} is not an instance of the " in str(raised.value)
    assert f"whose instances are: {told}. Attach it there first, or correct its name." in str(raised.value)


def test_what_a_stopped_run_has_left_out_is_no_mistake(world: World) -> None:
    world.leave("web-1")
    turn = world.leave("web-1", marked=True)
    assert (turn.changed, turn.out) == (False, True)
    assert turn.said.endswith("since a run that was stopped.")


def test_one_that_is_never_healthy(world: World) -> None:
    balancer = world.balancer()
    balancer.take_out(balancer.target(world.instance("web-4")))
    world.slow(1)
    with pytest.raises(BalancerError) as raised:
        world.come_back("web-4", pace=QUICK._replace(timeout=2))
    word, prefix = ("Instance", "Lb") if world.kind == "lightsail" else ("Target", "Elb")
    assert (
        f"did not call {world.instance('web-4')} healthy within 2 s. It was not in it,"
        f" then initial ({prefix}.InitialHealthChecking), then unhealthy ({word}.FailedHealthChecks). Ask on the host"
    ) in str(raised.value)
    assert world.health("web-4") == "unhealthy", "it stays where the inventory has it"


def test_one_that_may_not_come_back(cloud: World) -> None:
    cloud.leave("web-1")
    cloud.control("POST", "/faults", {"fault": "denied", "operation": "AttachInstancesToLoadBalancer"})
    with pytest.raises(CallError, match="refuses lightsail:AttachInstancesToLoadBalancer"):
        cloud.come_back("web-1")
    cloud.control("DELETE", "/faults")
    cloud.control("POST", "/faults", {"fault": "failed", "operation": "AttachInstancesToLoadBalancer"})
    with pytest.raises(
        BalancerError, match=r"within 1 s\. It was not in it\. lightsail in eu-west-1: .*The operation failed"
    ):
        cloud.come_back("web-1", pace=QUICK._replace(timeout=1))


def test_no_such_instance(world: World) -> None:
    nobody = {"lightsail": "web-9", "target_group": "i-00000000000000000"}[world.kind]
    with pytest.raises(BalancerError, match=f"{nobody} cannot be put into .*: there is no such instance"):
        come_back(world.balancer(), nobody, QUICK)


def test_foretelling_changes_nothing(world: World) -> None:
    turn = leave(world.balancer(), world.instance("web-1"), False, QUICK, None)
    assert (turn.changed, turn.out, world.health("web-1")) == (True, True, "healthy")
    asked = {call["operation"] for call in world.control("GET", "/calls")}
    assert not asked & {"DetachInstancesFromLoadBalancer", "DeregisterTargets"}


def test_a_target_group_at_another_port(cloud: World) -> None:
    cloud.kind = "target_group"
    with pytest.raises(BalancerError, match=r"is in the target group public in eu-west-1 at port 443, not 3000\."):
        leave(cloud.balancer(port=3000), cloud.instance("web-1"), False, QUICK, lambda: None)
    assert leave(cloud.balancer(port=443), cloud.instance("web-1"), False, QUICK, lambda: None).out


def test_a_target_group_by_its_arn(cloud: World) -> None:
    cloud.kind = "target_group"
    groups = boto3.client("elbv2", region_name=REGION).describe_target_groups(Names=["public"])["TargetGroups"]
    assert cloud.leave("web-1", groups[0]["TargetGroupArn"]).out
    assert cloud.health("web-1") == "out"


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case["case"])
def test_fault(case: dict[str, t.Any], cloud: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancers, "RETRIES", case.get("retries", 0))
    cloud.kind = case["kind"]
    for fault in case["faults"]:
        cloud.control("POST", "/faults", fault)
    marks: list[str] = []

    def go() -> Turn:
        return leave(
            cloud.balancer(**case.get("with", {})), cloud.instance("web-1"), False, QUICK, lambda: marks.append("")
        )

    if case.get("goes"):
        assert go().out
        return
    with pytest.raises((BalancerError, CallError)) as raised:
        go()
    assert str(raised.value) == case["says"]
    cloud.control("DELETE", "/faults")
    assert cloud.health("web-1") == "healthy"
