# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The emulated Lightsail, over HTTP: boto3 for what a client may send, plain requests for what it should not."""

from __future__ import annotations

import inspect
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ansible_collections.minato.fleet.tests.aws.lightsail import lightsail_backends
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import OPERATIONS
from ansible_collections.minato.fleet.tests.aws.lightsail.shapes import NAMES, check_answer, parameters
from ansible_collections.minato.fleet.tests.aws.server import serve

CASES = yaml.safe_load(Path(__file__).with_name("lightsail_cases.yml").read_text(encoding="utf-8"))
CHALLENGE = {"name": "_acme-challenge.app.test", "type": "TXT", "target": '"one"'}


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """A running cloud."""
    server = serve("127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def lightsail(cloud: str) -> Any:
    """A client, and a domain with one record."""
    lightsail_backends.clear()
    client = boto3.client(
        "lightsail",
        endpoint_url=cloud,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_domain(domainName="app.test")
    client.create_domain_entry(domainName="app.test", domainEntry=CHALLENGE)
    return client


def call(cloud: str, case: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Send a request that no client has looked at."""
    scope = f"testing/20261121/{case.get('region', 'us-east-1')}/lightsail/aws4_request"
    request = urllib.request.Request(
        cloud,
        json.dumps(case["request"]).encode(),
        {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            "X-Amz-Target": f"Lightsail_20161128.{case['operation']}",
            "Content-Type": "application/x-amz-json-1.1",
        },
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def holds(part: Any, whole: Any) -> bool:
    """Whether every key of the part has the same value in the whole."""
    if isinstance(part, dict):
        return all(holds(value, whole.get(key)) for key, value in part.items())
    return bool(part == whole)


@pytest.mark.usefixtures("lightsail")
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_a_request_and_its_answer(cloud: str, case: dict[str, Any]) -> None:
    status, answer = call(cloud, case)
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


@pytest.mark.parametrize("service", ["ec2", "route53", "secretsmanager", "ssm", "sts"])
def test_motos_services_answer_at_the_same_endpoint(cloud: str, service: str) -> None:
    client = boto3.client(
        service,
        endpoint_url=cloud,
        region_name="eu-west-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    ask = {
        "ec2": "describe_instances",
        "route53": "list_hosted_zones",
        "secretsmanager": "list_secrets",
        "ssm": "describe_parameters",
        "sts": "get_caller_identity",
    }
    assert getattr(client, ask[service])()["ResponseMetadata"]["HTTPStatusCode"] == 200
