# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Lightsail does, as data: calls in their order, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.minato.fleet.tests.aws import fleet
from ansible_collections.minato.fleet.tests.aws.lightsail import lightsail_backends
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import OPERATIONS
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.add_ons import hours_ago
from ansible_collections.minato.fleet.tests.aws.settings import SETTINGS
from ansible_collections.minato.fleet.tests.unit.aws.emulated import REGION, data, holds, send

FLEET = data("fleet.yml")
STORIES = data("stories.yml")
DELAY = 10


def dated(step: dict[str, Any]) -> dict[str, Any]:
    """Put the dates of the fleet's automatic snapshots into a step."""
    text = json.dumps(step, default=str)
    for hours in (5, 29):
        text = text.replace(f"TODAY-{hours}H", hours_ago(hours).strftime("%Y-%m-%d"))
    read: dict[str, Any] = json.loads(text)
    return read


def state() -> str:
    """Return all that Lightsail knows, as text."""
    held = []
    for _account, _region, cloud in lightsail_backends.iter_backends():
        assert isinstance(cloud, LightsailBackend)
        cloud.settle()
        held.append([cloud.resources, cloud.hidden, cloud.operations])
    return json.dumps(held, default=str, sort_keys=True)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: str(story["story"]))
def test_story(cloud: str, story: dict[str, Any]) -> None:
    fleet.load(fleet.checked(FLEET), lambda *_: None)
    SETTINGS.delay = DELAY
    for step in map(dated, story["steps"]):
        if "ahead" in step:
            SETTINGS.ahead = step["ahead"]
            continue
        before = state()
        status, answer = send(cloud, step["call"], step["request"], step.get("region", REGION))
        if "error" in step:
            assert (status, answer["__type"]) == (400, step["error"]), answer
            assert step["says"] in answer["message"]
            assert answer["code"] == step.get("code", answer["code"])
            assert state() == before, "what is refused has changed something"
        else:
            assert status == 200, answer
            assert holds(step["answer"], answer), (step, answer)


def test_every_operation_is_in_a_story() -> None:
    told = {step["call"] for story in STORIES for step in story["steps"] if "answer" in step}
    told |= {case["operation"] for case in data("lightsail_cases.yml") if "answer" in case}
    alone = {
        "CreateDomain",
        "DeleteDomainEntry",
        "GetDomains",
        "GetOperation",
        "UpdateDomainEntry",
    }  # test_lightsail.py
    assert set(OPERATIONS) - told == alone


def test_a_resource_has_fifty_tags_at_most(cloud: str) -> None:
    fleet.load(fleet.checked(FLEET), lambda *_: None)
    tags = [{"key": f"key-{number}", "value": ""} for number in range(45)]
    assert send(cloud, "TagResource", {"resourceName": "web-1", "tags": tags})[0] == 200
    status, answer = send(cloud, "TagResource", {"resourceName": "web-1", "tags": [{"key": "one-more"}]})
    assert (status, answer["message"]) == (400, "51 tags are more than the 50 that a resource can have.")
