# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How answers come changes nothing: pages, threads, the order of regions."""

from __future__ import annotations

import random
import time
import typing as t
from dataclasses import replace

from ansible_collections.minato.fleet.plugins.plugin_utils import aws_build, aws_fetch, aws_hosts, aws_pages, aws_plan
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_facts import snake
from ansible_collections.minato.fleet.tests.unit.plugins.plugin_utils.aws_support import options, room
from hypothesis import given, settings
from hypothesis import strategies as st

REGIONS = ("ap-northeast-1", "eu-west-1", "us-east-1")
SERVICES = ("lightsail", "ec2")


class FakeCloud:
    """A cloud that answers in pages of some size, each after some time."""

    def __init__(self, hosts: dict[tuple[str, str], list[int]], size: int, seed: int) -> None:
        self.hosts = hosts
        self.size = size
        self.random = random.Random(seed)

    def session(self, _account: t.Any) -> None:
        """There is none."""

    def lacks(self, _service: str, _region: str) -> bool:
        return False

    def ask(self, _account: t.Any, service: str, region: str) -> t.Any:
        def call(operation: str, **given: t.Any) -> dict[str, t.Any]:
            time.sleep(self.random.random() / 1000)
            if operation not in ("get_instances", "describe_instances"):
                return {"bundles": [], "InstanceTypes": [], "SecurityGroups": []}
            numbers = list(self.hosts[service, region])
            begin = int(given.get("pageToken") or given.get("NextToken") or 0)
            page = numbers[begin : begin + self.size]
            token = str(begin + self.size) if begin + self.size < len(numbers) else None
            if service == "lightsail":
                return {"instances": [lightsail(region, one) for one in page], "nextPageToken": token}
            return {"Facts": [snake(ec2(region, one)) for one in page], "NextToken": token}

        return call


def lightsail(region: str, number: int) -> dict[str, t.Any]:
    tags = [{"key": "env", "value": f"env{number % 3}"}]
    arn = f"arn:aws:lightsail:{region}:1:Instance/{number:04d}"
    return {"name": f"ls-{region}-{number}", "arn": arn, "tags": tags, "state": {"name": "running"}}


def ec2(region: str, number: int) -> dict[str, t.Any]:
    tags = [{"Key": "Name", "Value": f"ec2-{region}-{number}"}, {"Key": "Role", "Value": f"role{number % 2}"}]
    identity = f"i-{number:04d}{region}"
    return {"InstanceId": identity, "InstanceType": "t3.micro", "Tags": tags, "State": {"Name": "running"}}


HOSTS = st.fixed_dictionaries(
    {
        (service, region): st.lists(st.integers(0, 30), unique=True, max_size=12)
        for service in SERVICES
        for region in REGIONS
    }
)


@settings(max_examples=60, deadline=None)
@given(HOSTS, st.permutations(REGIONS), st.integers(1, 5), st.integers(1, 9), st.randoms(use_true_random=False))
def test_how_it_is_asked_changes_nothing(
    hosts: dict[tuple[str, str], list[int]], regions: list[str], size: int, workers: int, chance: random.Random
) -> None:
    chosen = options(
        services=list(SERVICES),
        regions=list(REGIONS),
        hostnames=["name"],
        details=[],
        keyed_groups=[{"key": "tags.Role", "prefix": "role"}],
    )
    shuffled = {key: chance.sample(numbers, len(numbers)) for key, numbers in hosts.items()}
    asked = replace(chosen, regions=tuple(regions), workers=workers)
    assert told(shuffled, asked, size) == told(hosts, replace(chosen, workers=1), 100)


def told(hosts: dict[tuple[str, str], list[int]], chosen: t.Any, size: int) -> list[dict[str, t.Any]]:
    cloud: t.Any = FakeCloud(hosts, size, 1)
    work = aws_plan.plan(cloud, chosen, [])
    parts = [outcome.part for outcome in aws_fetch.fetch(cloud, work, chosen)]
    made = [aws_build.build(part, room(chosen)).hosts for part in parts if part]
    found, _warnings = aws_hosts.merge(made, "fail")
    assert len(found) == sum(map(len, hosts.values()))
    return [vars(host) for host in found]


def test_one_that_hangs_keeps_nobody_waiting() -> None:
    began = time.monotonic()

    def wait(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    results = aws_pages.at_once([5.0, 0.0, 0.01], wait, 1, 0.3)
    assert time.monotonic() - began < 5
    assert [type(result) for _task, result in results] == [TimeoutError, float, float]


def test_the_systems_manager_is_asked_for_forty_at_a_time() -> None:
    records = [{"instance_id": f"i-{number}", "instance_type": "t3.micro"} for number in range(41)]
    asked = []

    def ask(operation: str, api: str = "ec2", **given: t.Any) -> dict[str, t.Any]:
        if api != "ssm":
            return {"Facts": records, "InstanceTypes": [], "SecurityGroups": []}
        asked.append(given["Filters"][0]["Values"])
        content = {"AWS:InstanceInformation": {"Content": [{"PlatformName": "Debian"}]}}
        return {"Entities": [{"Id": name, "Data": content if name == "i-40" else {}} for name in asked[-1]]}

    work = aws_plan.Work(options().accounts[0], "ec2", "eu-west-1")
    part = aws_fetch.collect(work, ask, options(use_ssm_inventory=True), [])
    assert [len(names) for names in asked] == [40, 1]
    assert part.details["ssm"] == {"i-40": {"platform_name": "Debian"}}


def test_names_of_route53() -> None:
    zones = [{"Id": "/1", "Name": "example.com."}, {"Id": "/2", "Name": "internal."}]
    pages: list[dict[str, t.Any]] = [
        {"ResourceRecordSets": [record("a.example.com.", "192.0.2.1")], "IsTruncated": True, "NextRecordName": "b"},
        {"ResourceRecordSets": [record("b.example.com.", "192.0.2.1"), record("c.example.net.", "192.0.2.1")]},
    ]

    def ask(operation: str, api: str = "", **given: t.Any) -> dict[str, t.Any]:
        if operation == "list_hosted_zones":
            return {"HostedZones": zones}
        assert given["HostedZoneId"] == "/1", "an excluded zone was read"
        return pages[1 if given.get("StartRecordName") == "b" else 0]

    chosen = options(route53_enabled=True, route53_excluded_zones=["internal"], route53_hostnames=[".example.com"])
    assert aws_fetch.route53_names(ask, chosen) == {"192.0.2.1": ["a.example.com", "b.example.com"]}


def record(name: str, target: str) -> dict[str, t.Any]:
    return {"Name": name, "Type": "A", "ResourceRecords": [{"Value": target}]}


def test_many_filters_are_one_question() -> None:
    asked = aws_fetch.ec2_queries(
        options(include_filters=[{"tag:a": "1"}, {"tag:b": ["2", "3"]}], filters={"env": "x"})
    )
    assert asked == [{"instance-state-name": ["pending", "running"]}]
    asked = aws_fetch.ec2_queries(options(filters={"vpc-id": "vpc-1", "env": "x"}))
    assert asked == [{"vpc-id": ["vpc-1"], "instance-state-name": ["running", "pending"]}]
    asked = aws_fetch.ec2_queries(options(include_filters=[{"tag:a": "1"}, {"hibernation-options.configured": "true"}]))
    assert [sorted(one) for one in asked] == [
        ["instance-state-name", "tag:a"],
        ["hibernation-options.configured", "instance-state-name"],
    ]
