# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fleets from files, and docs/cloud.md: what it shows is run, what it lists is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.tests.aws import control as clouds
from ansible_collections.minato.fleet.tests.aws import fleet
from ansible_collections.minato.fleet.tests.aws.faults import BEHAVIOURS, answers
from ansible_collections.minato.fleet.tests.aws.fleet_items import FleetError
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import OPERATIONS
from ansible_collections.minato.fleet.tests.unit.aws.emulated import KEYS, client, control, data

PAGE = Path(__file__).parents[3] / "docs/cloud.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def listed(heading: str) -> set[str]:
    """Return the code words in a section's tables."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    cells = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| ")]
    return {word for row in cells for word in re.findall(r"`(\w+)`", " ".join(row))}


@pytest.fixture
def whole(cloud: str) -> Iterator[str]:
    """Moto's services are emptied too."""
    clouds.reset()
    yield cloud
    clouds.reset()


def environment(cloud: str) -> dict[str, str]:
    return {**os.environ, "AWS_ENDPOINT_URL": cloud, **{name.upper(): value for name, value in KEYS.items()}}


def test_the_pages_fleet_is_what_the_page_says(whole: str) -> None:
    [text], [program], [said, *_rest] = blocks("yaml"), blocks("python"), blocks("text")
    status, answer = control(whole, "POST", "/fleet", text)
    assert status == 200, answer
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment(whole), capture_output=True, text=True, check=True
    )
    assert ran.stdout == said
    assert client(whole, "ec2").describe_security_groups(GroupNames=["voice-1"])["SecurityGroups"]
    assert client(whole, "rds").describe_db_instances()["DBInstances"][0]["TagList"] == [
        {"Key": "env", "Value": "production"}
    ]
    assert [fault["fault"] for fault in control(whole, "GET", "/faults")[1]] == ["throttled", "region_disabled"]


def test_another_account_has_its_own(whole: str) -> None:
    control(whole, "POST", "/fleet", blocks("yaml")[0])
    role = client(whole, "sts").assume_role(RoleArn="arn:aws:iam::210987654321:role/reader", RoleSessionName="test")
    import boto3

    keys = role["Credentials"]
    there = boto3.client(
        "lightsail",
        endpoint_url=whole,
        region_name="eu-west-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert [instance["name"] for instance in there.get_instances()["instances"]] == ["other-1"]
    assert client(whole, region="eu-west-1").get_instances()["instances"] == []


def test_the_pages_commands_run(cloud: str) -> None:
    commands = [block for block in blocks("sh") if "curl" in block]
    assert len(commands) == 2
    for command in commands:
        there = command.replace("http://127.0.0.1:5000", cloud)
        subprocess.run(["bash", "-ec", there], check=True, capture_output=True)


def test_the_page_lists_every_operation_and_fault() -> None:
    assert listed("The Lightsail of it") == set(OPERATIONS)
    faults = {*answers(), *BEHAVIOURS}
    assert faults <= listed("What goes wrong on purpose")


@pytest.mark.parametrize("case", data("fleet_cases.yml"), ids=lambda case: str(case["says"]))
def test_a_wrong_fleet_is_refused_in_one_sentence(cloud: str, tmp_path: Path, case: dict[str, str]) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(case["fleet"], encoding="utf-8")
    with pytest.raises(FleetError) as raised:
        fleet.load_file(path, lambda *_: None)
    assert str(raised.value).startswith(f"{path}: ")
    assert case["says"] in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_fleet_file_ends_the_command() -> None:
    command = [str(PAGE.parents[1] / "tests/bin/cloud"), "--fleet", "/nowhere.yml", "--port", "0"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, "/nowhere.yml: No such file or directory\n")
