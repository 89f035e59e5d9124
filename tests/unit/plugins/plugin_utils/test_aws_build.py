# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the API's answers to hosts, groups and variables, case by case."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.minato.fleet.plugins.plugin_utils import aws_build, aws_cache, aws_hosts, aws_known_hosts
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_facts import snake
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_machines import Part
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import InventoryError
from ansible_collections.minato.fleet.tests.unit.plugins.plugin_utils.aws_support import options, room

CASES = yaml.safe_load(Path(__file__).with_name("aws_build_cases.yml").read_text(encoding="utf-8"))
WRONG = yaml.safe_load(Path(__file__).with_name("aws_options_cases.yml").read_text(encoding="utf-8"))


def part(given: dict[str, t.Any]) -> Part:
    """A part, from an answer in the API's own words."""
    return Part(
        given["service"],
        given.get("account", ""),
        given["region"],
        snake(given["answer"]),
        snake(given.get("details", {})),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_build(case: dict[str, t.Any]) -> None:
    chosen = options(**case.get("options", {}))
    built = [aws_build.build(part(one), room(chosen, case.get("existing"))) for one in case["parts"]]
    hosts, _said = aws_hosts.merge([one.hosts for one in built], "fail")
    found = {host.name: host for host in hosts}
    assert sorted(found) == sorted(case["hosts"])
    for name, wanted in case["hosts"].items():
        host = found[name]
        variables = wanted.get("variables", {})
        assert {key: host.variables.get(key) for key in variables} == variables
        if "groups" in wanted:
            assert sorted(host.groups) == sorted(wanted["groups"])
        if "parents" in wanted:
            assert [list(pair) for pair in host.parents] == wanted["parents"]
    warnings = [warning for one in built for warning in one.warnings]
    assert len(warnings) == len(case.get("warns", [])), warnings
    for begin, warning in zip(case.get("warns", []), warnings, strict=True):
        assert warning.startswith(begin), warning


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case["says"][:60])
def test_an_option_is_refused(case: dict[str, t.Any]) -> None:
    with pytest.raises(InventoryError) as refused:
        options(**case["options"])
    assert str(refused.value) == case["says"]


def test_no_host_has_more_than_it_may() -> None:
    tags = [{"Key": f"key-{number:02d}", "Value": "x" * (number * 5)} for number in range(50)]
    tags += [{"Key": "env", "Value": "production"}, {"Key": "apps", "Value": "one two"}]
    answer = {"InstanceId": "i-1", "PublicDnsName": "web", "State": {"Name": "running"}, "Tags": tags}
    given = part({"service": "ec2", "region": "eu-west-1", "answer": [{**answer, "InstanceType": "t3.micro"}]})
    built = aws_build.build(given, room(options()))
    (host,) = built.hosts
    assert len(json.dumps(host.variables)) <= 1200
    assert host.variables["fleet_tags"]["env"] == "production"
    assert "key-00" in host.variables["fleet_tags"]
    assert built.warnings[1].startswith("web: more than 1200 bytes of variables; the longest tags")
    everything = aws_build.build(given, room(options(full_facts=True)))
    assert len(everything.hosts[0].variables["tags"]) == 52
    assert len(everything.warnings) == 1


def test_secrets_are_no_facts() -> None:
    answer = {
        "pendingModifiedValues": {"masterUserPassword": "s", "engineVersion": "16"},
        "privateKey": "s",
        "certKey": "s",
    }
    assert snake([answer]) == [{"pending_modified_values": {"engine_version": "16"}}]


def host(name: str, identity: str) -> aws_hosts.Host:
    return aws_hosts.Host(name, identity, {"a": 1}, ["g"], [("above", "g")], 5.0, ["ssh-ed25519 AAAA"], ["192.0.2.1"])


def test_one_name_for_two_hosts() -> None:
    two = [[host("web", "i-1 (ec2, eu-west-1)")], [host("web", "i-2 (ec2, us-east-1)")]]
    with pytest.raises(InventoryError, match=r"Two hosts would be named web: i-1 .+ and i-2 .+\. Rename one"):
        aws_hosts.merge(two, "fail")
    hosts, warnings = aws_hosts.merge(two, "warn")
    assert [one.name for one in hosts] == ["web", "web_i-2"]
    assert warnings[0].endswith("The second is web_i-2 in this run.")


def test_what_is_kept_comes_back() -> None:
    result = aws_cache.Result(7.0, {"ec2 in x": aws_cache.Kept(3.0, [host("web", "i-1")], True)}, ["ec2 in x"])
    assert aws_cache.unpack(aws_cache.pack(result)) == result
    assert [result.fresh(now, seconds) for now, seconds in ((8, 1), (9, 1), (9999, 0))] == [True, False, True]
    assert [aws_cache.age(seconds) for seconds in (5, 60, 7300, 200000)] == [
        "5 seconds",
        "1 minute",
        "2 hours",
        "2 days",
    ]


def test_known_hosts_are_quoted(tmp_path: Path) -> None:
    path = tmp_path / "with space"
    assert aws_known_hosts.lines([host("web", "i-1")]) == ["web,192.0.2.1 ssh-ed25519 AAAA"]
    assert f"-o 'UserKnownHostsFile=\"{path}\"'" in aws_known_hosts.arguments(host("web", "i-1"), path)
    assert aws_known_hosts.write(path, "one\n")
    assert not aws_known_hosts.write(path, "one\n")
