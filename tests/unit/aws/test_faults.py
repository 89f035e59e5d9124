# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes wrong on purpose, as boto3 sees it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.minato.fleet.tests.aws.faults import BEHAVIOURS, answers
from ansible_collections.minato.fleet.tests.unit.aws.emulated import client, control, data
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

CASES = data("faults.yml")
ASK = {
    "lightsail": "get_instances",
    "ec2": "describe_instances",
    "rds": "describe_db_instances",
    "sts": "get_caller_identity",
}
MET = [(fault["fault"], service, fault[service]) for fault in CASES for service in ASK if service in fault]


def asked(
    cloud: str, service: str = "lightsail", region: str = "ap-northeast-1", operation: str = "", patience: float = 60
) -> str:
    """Ask once, and return the name of what went wrong."""
    asking = client(cloud, service, region, read_timeout=patience)
    try:
        getattr(asking, operation or ASK[service])()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except (BotoCoreError, ResponseParserError) as error:
        return type(error).__name__
    return ""


def post(cloud: str, fault: dict[str, Any]) -> None:
    status, answer = control(cloud, "POST", "/faults", fault)
    assert status == 200, answer


@pytest.mark.parametrize(("fault", "service", "said"), MET)
def test_a_fault_is_what_the_service_would_say(cloud: str, fault: str, service: str, said: str) -> None:
    post(cloud, {"fault": fault, "service": service})
    assert asked(cloud, service, patience=0.3 if fault == "hang" else 60) == said


@pytest.mark.parametrize("service", ASK)
def test_without_a_fault_all_is_well(cloud: str, service: str) -> None:
    assert asked(cloud, service) == ""


def test_every_fault_is_met() -> None:
    assert {fault["fault"] for fault in CASES} | {"slow"} == {*answers(), *BEHAVIOURS}


def test_lightsails_own_exceptions_are_boto3s(cloud: str) -> None:
    post(cloud, {"fault": "account_setup"})
    lightsail = client(cloud)
    with pytest.raises(lightsail.exceptions.AccountSetupInProgressException, match="still being set up"):
        lightsail.get_instances()


def test_a_fault_is_for_a_region_a_service_and_an_operation(cloud: str) -> None:
    post(cloud, {"fault": "throttled", "service": "light*", "region": "eu-west-*", "operation": "GetInstance*"})
    assert asked(cloud, region="eu-west-2") == "ThrottlingException"
    assert asked(cloud, region="eu-west-2", operation="get_instance_snapshots") == "ThrottlingException"
    assert asked(cloud, region="eu-west-2", operation="get_static_ips") == ""
    assert asked(cloud, region="eu-central-1") == ""
    assert asked(cloud, "sts", "eu-west-2") == ""


def test_a_region_without_lightsail_does_not_answer(cloud: str) -> None:
    assert asked(cloud, region="af-south-1") == "ConnectionClosedError"


def test_a_fault_passes(cloud: str) -> None:
    post(cloud, {"fault": "throttled", "after": 1, "times": 2})
    assert [asked(cloud) for _number in range(4)] == ["", "ThrottlingException", "ThrottlingException", ""]
    [shown] = control(cloud, "GET", "/faults")[1]
    assert shown == {"fault": "throttled", "after": 1, "times": 2, "id": shown["id"], "met": 4}


def test_boto3_tries_again_by_itself(cloud: str) -> None:
    post(cloud, {"fault": "throttled", "times": 1})
    post(cloud, {"fault": "unavailable", "times": 1})
    patient = client(cloud, attempts=3)
    assert patient.get_instances()["ResponseMetadata"]["RetryAttempts"] == 2


def test_another_answer_can_be_given(cloud: str) -> None:
    post(cloud, {"fault": "error", "status": 418, "code": "TeapotException", "message": "short & <stout>"})
    with pytest.raises(ClientError, match="short & <stout>") as raised:
        client(cloud).get_instances()
    assert raised.value.response["Error"]["Code"] == "TeapotException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 418
    with pytest.raises(ClientError, match="short & <stout>"):
        client(cloud, "ec2").describe_instances()


def test_slow_answers_and_latency(cloud: str) -> None:
    def seconds(region: str) -> float:
        began = time.monotonic()
        assert asked(cloud, region=region) == ""
        return time.monotonic() - began

    control(cloud, "PATCH", "/settings", {"latency": {"default": 0.1, "eu-west-1": 0.0}})
    assert seconds("eu-west-2") >= 0.1
    post(cloud, {"fault": "slow", "seconds": 0.2, "region": "eu-west-1"})
    assert seconds("eu-west-1") >= 0.2
    post(cloud, {"fault": "slow", "seconds": 2, "region": "eu-west-2"})
    assert asked(cloud, region="eu-west-2", patience=0.3) == "ReadTimeoutError"


def test_what_hangs_is_let_go(cloud: str) -> None:
    post(cloud, {"fault": "hang"})
    assert asked(cloud, patience=0.3) == "ReadTimeoutError"
    control(cloud, "POST", "/reset")
    assert asked(cloud) == ""


def test_calls_are_counted(cloud: str) -> None:
    for service in ("lightsail", "lightsail", "sts", "ec2"):
        asked(cloud, service)
    where = {"region": "ap-northeast-1"}
    assert control(cloud, "GET", "/calls")[1] == [
        {"service": "ec2", **where, "operation": "DescribeInstances", "count": 1},
        {"service": "lightsail", **where, "operation": "GetInstances", "count": 2},
        {"service": "sts", **where, "operation": "GetCallerIdentity", "count": 1},
    ]
    control(cloud, "DELETE", "/calls")
    assert control(cloud, "GET", "/calls")[1] == []


def test_one_fault_is_taken_away(cloud: str) -> None:
    post(cloud, {"fault": "throttled"})
    post(cloud, {"fault": "denied"})
    first = control(cloud, "GET", "/faults")[1][0]["id"]
    assert [fault["fault"] for fault in control(cloud, "DELETE", f"/faults/{first}")[1]] == ["denied"]
    assert control(cloud, "DELETE", f"/faults/{first}") == (400, {"error": f"There is no fault {first}."})


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/faults", {"fault": "flood"}, "There is no fault 'flood': use one of throttled, denied"),
        ("POST", "/faults", {"kind": "denied"}, "'kind' was unexpected"),
        ("POST", "/faults", {"service": "ec2"}, "'fault' is a required property"),
        ("POST", "/faults", {"fault": "slow", "seconds": -1}, "seconds: -1 is less than the minimum of 0"),
        ("POST", "/faults", "{", "Expecting property name"),
        ("PATCH", "/settings", {"delays": 1}, "'delays' was unexpected"),
        ("PATCH", "/settings", {"latency": {"eu-west-1": "slow"}}, "latency.eu-west-1: 'slow' is not of type 'number'"),
        ("POST", "/fleet", "regions: [", "This is no YAML"),
        ("GET", "/weather", None, "There is no GET /_cloud/weather."),
    ],
)
def test_what_the_control_path_does_not_take(cloud: str, method: str, path: str, body: Any, said: str) -> None:
    status, answer = control(cloud, method, path, body)
    assert status in (400, 404)
    assert said in answer["error"]


def test_reset_empties_everything(cloud: str) -> None:
    control(cloud, "POST", "/fleet", "regions: {eu-west-1: {lightsail: {instances: [{name: web-1}]}}}")
    client(cloud, "ec2").create_key_pair(KeyName="mine")
    control(cloud, "PATCH", "/settings", {"delay": 5, "page_size": 2})
    post(cloud, {"fault": "denied", "service": "rds"})
    control(cloud, "POST", "/reset")
    assert client(cloud, region="eu-west-1").get_instances()["instances"] == []
    assert client(cloud, "ec2").describe_key_pairs()["KeyPairs"] == []
    shown = control(cloud, "GET", "")[1]
    assert (shown["settings"], shown["faults"]) == ({"delay": 0, "ahead": 0, "page_size": 0, "latency": {}}, [])
