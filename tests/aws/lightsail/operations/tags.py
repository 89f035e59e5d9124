"""Tags of every resource that can have them."""

from __future__ import annotations

from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, Resource
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation

MOST = 50
UNTAGGED = ("StaticIp",)
Tags = list[dict[str, str]]


def checked_tags(tags: Tags) -> Tags:
    """Return tags that AWS would take."""
    keys = [tag.get("key", "") for tag in tags]
    if len(tags) > MOST:
        raise InvalidInputError(f"{len(tags)} tags are more than the {MOST} that a resource can have.")
    if len(set(keys)) < len(keys):
        raise InvalidInputError("A tag key appears more than once.")
    for tag in tags:
        key, value = tag.get("key", ""), tag.get("value", "")
        if not 0 < len(key) <= 128 or len(value) > 256:
            raise InvalidInputError(f"A tag key has 1 to 128 characters, a value at most 256: {key}")
        if key.lower().startswith("aws:"):
            raise InvalidInputError(f"Tag keys that begin with aws: are AWS's own: {key}")
    return [dict(tag) for tag in tags]


@operation
def tag_resource(cloud: LightsailBackend, resource_name: str, tags: Tags, resource_arn: str = "") -> dict[str, Any]:
    resource = _tagged(cloud, resource_name, resource_arn)
    wanted = {tag["key"]: tag for tag in checked_tags(tags)}
    resource["tags"] = checked_tags([*(tag for tag in resource["tags"] if tag["key"] not in wanted), *wanted.values()])
    return {"operations": [cloud.record("TagResource", resource["resourceType"], resource_name)]}


@operation
def untag_resource(
    cloud: LightsailBackend, resource_name: str, tag_keys: list[str], resource_arn: str = ""
) -> dict[str, Any]:
    resource = _tagged(cloud, resource_name, resource_arn)
    resource["tags"] = [tag for tag in resource["tags"] if tag["key"] not in tag_keys]
    return {"operations": [cloud.record("UntagResource", resource["resourceType"], resource_name)]}


def _tagged(cloud: LightsailBackend, name: str, arn: str) -> Resource:
    resource = cloud.find(name)
    if arn and arn != resource["arn"]:
        raise InvalidInputError(f"The ARN is not that of {name}: {arn}")
    if resource["resourceType"] in UNTAGGED:
        raise InvalidInputError(f"A {resource['resourceType']} cannot be tagged: {name}")
    return resource
