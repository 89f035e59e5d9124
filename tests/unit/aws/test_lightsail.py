# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The emulated Lightsail, over HTTP: boto3 for what a client may send, plain requests for what it should not."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import OPERATIONS
from ansible_collections.minato.fleet.tests.aws.lightsail.shapes import NAMES, check_answer, parameters
from ansible_collections.minato.fleet.tests.unit.aws import emulated
from ansible_collections.minato.fleet.tests.unit.aws.emulated import data, holds, send

CASES = data("lightsail_cases.yml")
CHALLENGE = {"name": "_acme-challenge.app.test", "type": "TXT", "target": '"one"'}


@pytest.fixture
def lightsail(cloud: str) -> Any:
    """A client, and a domain with one record."""
    client = emulated.client(cloud, region="us-east-1")
    client.create_domain(domainName="app.test")
    client.create_domain_entry(domainName="app.test", domainEntry=CHALLENGE)
    return client


@pytest.mark.usefixtures("lightsail")
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_a_request_and_its_answer(cloud: str, case: dict[str, Any]) -> None:
    status, answer = send(cloud, case["operation"], case["request"], case.get("region", "us-east-1"))
    if "error" in case:
        assert (status, answer["__type"]) == (400, case["error"])
        assert case["says"] in answer["message"]
        assert answer["code"] == case.get("code", answer["code"])
    else:
        assert status == 200
        assert holds(case["answer"], answer), answer


def test_boto3_reads_errors_as_its_own(lightsail: Any) -> None:
    with pytest.raises(lightsail.exceptions.NotFoundException, match="does not exist"):
        lightsail.get_domain(domainName="other.test")


def test_records_come_and_go_one_value_at_a_time(lightsail: Any) -> None:
    lightsail.create_domain_entry(domainName="app.test", domainEntry={**CHALLENGE, "target": '"two"'})
    lightsail.delete_domain_entry(domainName="app.test", domainEntry=CHALLENGE)
    entries = lightsail.get_domain(domainName="app.test")["domain"]["domainEntries"]
    assert [entry["target"] for entry in entries if entry["type"] == "TXT"] == ['"two"']


def test_a_record_is_updated_by_its_id(lightsail: Any) -> None:
    entries = lightsail.get_domain(domainName="app.test")["domain"]["domainEntries"]
    found = next(entry for entry in entries if entry["type"] == "TXT")
    lightsail.update_domain_entry(domainName="app.test", domainEntry={**found, "target": '"three"'})
    entries = lightsail.get_domain(domainName="app.test")["domain"]["domainEntries"]
    assert [entry["target"] for entry in entries if entry["id"] == found["id"]] == ['"three"']


def test_operations_are_recorded_oldest_first(lightsail: Any) -> None:
    recorded = lightsail.get_operations()["operations"]
    assert [operation["operationType"] for operation in recorded] == ["CreateDomain", "UpdateDomainEntry"]
    assert lightsail.get_operation(operationId=recorded[1]["id"])["operation"] == recorded[1]


def test_lists_come_in_pages(lightsail: Any) -> None:
    names = ["app.test", *(f"d{number}.test" for number in range(120))]
    for name in names[1:]:
        lightsail.create_domain(domainName=name)
    pages = list(lightsail.get_paginator("get_domains").paginate())
    assert [len(page["domains"]) for page in pages] == [100, 21]
    assert [domain["name"] for page in pages for domain in page["domains"]] == names


def test_regions_are_those_of_the_model(lightsail: Any) -> None:
    regions = {region["name"]: region for region in lightsail.get_regions(includeAvailabilityZones=True)["regions"]}
    assert regions["ap-northeast-1"]["availabilityZones"][0]["zoneName"] == "ap-northeast-1a"
    assert regions["us-east-1"]["relationalDatabaseAvailabilityZones"] == []


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_an_operation_takes_what_the_model_says(operation: str) -> None:
    """So that a new one cannot forget a parameter, nor demand an optional one."""
    taken = list(inspect.signature(OPERATIONS[operation]).parameters.values())[1:]
    assert {parameter.name: parameter.default is parameter.empty for parameter in taken} == parameters(operation)
    assert operation in NAMES.values()


def test_an_answer_that_aws_would_not_give_is_caught() -> None:
    with pytest.raises(TypeError, match=r"Unknown parameter .*\.nam'"):
        check_answer("GetRegions", {"regions": [{"nam": "us-east-1"}]})
    with pytest.raises(TypeError, match="enum value set"):
        check_answer("GetRegions", {"regions": [{"name": "mars-1"}]})


@pytest.mark.parametrize(
    ("service", "ask"),
    {
        "ec2": "describe_instances",
        "route53": "list_hosted_zones",
        "secretsmanager": "list_secrets",
        "ssm": "describe_parameters",
        "sts": "get_caller_identity",
    }.items(),
)
def test_motos_services_answer_at_the_same_endpoint(cloud: str, service: str, ask: str) -> None:
    client = emulated.client(cloud, service, "eu-west-1")
    assert getattr(client, ask)()["ResponseMetadata"]["HTTPStatusCode"] == 200
