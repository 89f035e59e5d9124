# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every operation is held against AWS's model: what breaks a rule of it is refused, and lists come in pages."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.minato.fleet.tests.aws import fleet
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import OPERATIONS
from ansible_collections.minato.fleet.tests.aws.lightsail.shapes import operation_model
from ansible_collections.minato.fleet.tests.aws.settings import SETTINGS
from ansible_collections.minato.fleet.tests.unit.aws.emulated import REGION, client, data, send
from botocore import xform_name
from botocore.model import Shape

FLEET = data("fleet.yml")
ALL = sorted(OPERATIONS)
WRONG = {"string": 5, "boolean": "yes", "integer": "1", "structure": [], "list": {}, "map": [], "timestamp": "now"}


def inputs(operation: str) -> Shape:
    return operation_model(operation).input_shape


def paged(operation: str) -> bool:
    return "pageToken" in inputs(operation).members


@pytest.mark.parametrize("operation", ALL)
def test_an_unknown_parameter_is_refused(served: str, operation: str) -> None:
    status, answer = send(served, operation, {"colour": "red"})
    assert (status, answer["__type"]) == (400, "InvalidInputException")
    assert "Unknown parameter 'colour'" in answer["message"]


@pytest.mark.parametrize("operation", [name for name in ALL if inputs(name).required_members])
def test_every_missing_member_is_named(served: str, operation: str) -> None:
    status, answer = send(served, operation, {})
    assert (status, answer["__type"]) == (400, "InvalidInputException")
    for member in inputs(operation).required_members:
        assert f"Value null at '{member}' failed to satisfy constraint: Member must not be null" in answer["message"]


@pytest.mark.parametrize(("operation", "member"), [(name, each) for name in ALL for each in inputs(name).members])
def test_a_value_of_another_type_is_refused(served: str, operation: str, member: str) -> None:
    wrong = WRONG[inputs(operation).members[member].type_name]
    status, answer = send(served, operation, {member: wrong})
    assert (status, answer["__type"]) == (400, "SerializationException")
    assert f"at '{member}'" in answer["message"]


ENUMS = [(name, member) for name in ALL for member, shape in inputs(name).members.items() if getattr(shape, "enum", [])]


@pytest.mark.parametrize(("operation", "member"), ENUMS)
def test_a_value_outside_its_set_is_refused(served: str, operation: str, member: str) -> None:
    status, answer = send(served, operation, {member: "purple"})
    assert (status, answer["__type"]) == (400, "InvalidInputException")
    assert f"Value 'purple' at '{member}' failed to satisfy constraint: Member must satisfy enum value set: [" in str(
        answer["message"]
    )


def items(answer: dict[str, Any]) -> list[Any]:
    [listed] = [value for value in answer.values() if isinstance(value, list)]
    return listed


# What a list needs to be asked for, and where.
NEEDED = {"GetOperationsForResource": {"resourceName": "web-1"}}
WHERE = {"GetDomains": "us-east-1"}


@pytest.mark.parametrize("operation", [name for name in ALL if paged(name)])
def test_pages_of_any_size_make_the_whole(cloud: str, operation: str) -> None:
    fleet.load(fleet.checked(FLEET), lambda *_: None)
    lightsail = client(cloud, region=WHERE.get(operation, REGION))
    ask = getattr(lightsail, xform_name(operation))
    needed = NEEDED.get(operation, {})
    whole = items(ask(**needed))
    assert whole
    for size in (1, 2, len(whole)):
        SETTINGS.page_size = size
        answer = ask(**needed)
        pages = [items(answer)]
        while "nextPageToken" in answer:
            answer = ask(**needed, pageToken=answer["nextPageToken"])
            pages.append(items(answer))
        assert [item for page in pages for item in page] == whole
        assert len(pages) == -(-len(whole) // size)


@pytest.mark.parametrize("operation", [name for name in ALL if paged(name)])
@pytest.mark.parametrize("token", ["1", "bm90aGluZw==", "WyJvdGhlciIsICJ4IiwgInkiLCAxXQ=="])
def test_a_token_that_is_not_the_clouds_is_refused(cloud: str, operation: str, token: str) -> None:
    fleet.load(fleet.checked(FLEET), lambda *_: None)
    needed = NEEDED.get(operation, {})
    status, answer = send(cloud, operation, {**needed, "pageToken": token}, WHERE.get(operation, REGION))
    assert (status, answer["__type"], answer["message"]) == (
        400,
        "InvalidInputException",
        "The page token is not valid.",
    )


def test_a_list_that_changes_between_two_pages_shows_nothing_twice(cloud: str) -> None:
    fleet.load(fleet.checked(FLEET), lambda *_: None)
    SETTINGS.page_size = 2
    lightsail = client(cloud)
    first = lightsail.get_instances()
    lightsail.delete_instance(instanceName="web-2")
    rest = lightsail.get_instances(pageToken=first["nextPageToken"])
    assert [instance["name"] for instance in rest["instances"]] == ["worker-2", "worker-3"]
    first = lightsail.get_instances()
    lightsail.delete_instance(instanceName="web-1", forceDeleteAddOns=True)
    rest = lightsail.get_instances(pageToken=first["nextPageToken"])
    assert [instance["name"] for instance in rest["instances"]] == ["worker-2", "worker-3"]
