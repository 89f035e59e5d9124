# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cloud's answers as facts: names in snake_case as amazon.aws writes them, times as text, tags as a mapping."""

from __future__ import annotations

import functools
import re
import sys
import typing as t
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from datetime import datetime

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

Facts = dict[str, t.Any]
# What to read of an answer, by name; an empty mapping is all below that name.
Wanted = Mapping[str, t.Any]
Reader = Callable[[ET.Element], t.Any]

# Never kept, whatever is asked for.
SECRETS = frozenset(("master_user_password", "password", "password_data", "private_key", "cert_key"))


@functools.cache
def snake_name(name: str) -> str:
    """``PublicIpAddress`` is ``public_ip_address``, by Ansible's own rules."""
    return t.cast(str, next(iter(camel_dict_to_snake_dict({name: None}))))


def snake(value: t.Any) -> t.Any:
    """An answer as facts."""
    if isinstance(value, dict):
        found = {}
        for name, item in value.items():
            key = snake_name(name)
            if key not in SECRETS:
                found[key] = tag_map(item) if key in ("tags", "tag_list") else snake(item)
        return found
    if isinstance(value, list):
        return [snake(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def tag_map(tags: t.Any) -> dict[str, str]:
    """EC2 and RDS write Key and Value, Lightsail key and value; a tag may have no value."""
    if isinstance(tags, Mapping):
        return dict(tags)
    return {tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value")) or "" for tag in tags or []}


def walk(value: t.Any, path: tuple[str, ...]) -> t.Any:
    """What lies at a path, through lists as well; a list of one is that one. None or empty where nothing does."""
    for name in path:
        value = _step(value, name)
    return value


def _step(value: t.Any, name: str) -> t.Any:
    if isinstance(value, list):
        found: t.Any = [inner for inner in (_step(item, name) for item in value) if inner]
    else:
        found = value.get(name) if isinstance(value, Mapping) else None
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def moment(text: t.Any) -> float | None:
    """The time that a text of an answer tells, in seconds."""
    return datetime.fromisoformat(text).timestamp() if isinstance(text, str) and text else None


# Reading EC2's XML. botocore builds a tree and then its own structures of all of it; most hosts need a tenth.


def _timestamp(node: ET.Element) -> str:
    text = node.text or ""
    return text[:-5] + "+00:00" if text.endswith(".000Z") else datetime.fromisoformat(text).isoformat()


def _text(node: ET.Element) -> str:
    # Regions, types and networks are the same on thousands of hosts: one text for all.
    return sys.intern(node.text) if node.text else ""


_SCALARS: dict[str, Reader] = {
    "boolean": lambda node: node.text == "true",
    "integer": lambda node: int(node.text or 0),
    "long": lambda node: int(node.text or 0),
    "float": lambda node: float(node.text or 0),
    "double": lambda node: float(node.text or 0),
    "timestamp": _timestamp,
}


def reader(shape: t.Any, wanted: Wanted) -> Reader:
    """A function that reads nodes of a botocore shape, and of it what is wanted."""
    if shape.type_name == "structure":
        return _structure_reader(shape, wanted)
    if shape.type_name == "list":
        item = reader(shape.member, wanted)
        return lambda node: [item(child) for child in node]
    return _SCALARS.get(shape.type_name, _text)


def _structure_reader(shape: t.Any, wanted: Wanted) -> Reader:
    members: dict[str, tuple[str, Reader]] = {}
    for name, member in shape.members.items():
        key = snake_name(name)
        if key in SECRETS or (wanted and key not in wanted):
            continue
        place = member.serialization.get("name", name)
        members[place] = (key, _tags_reader if key == "tags" else reader(member, wanted.get(key, {})))

    def read(node: ET.Element) -> Facts:
        found = {}
        for child in node:
            member = members.get(child.tag)
            if member is not None:
                found[member[0]] = member[1](child)
        return found

    return read


def _tags_reader(node: ET.Element) -> dict[str, str]:
    return {sys.intern(item.findtext("key") or ""): sys.intern(item.findtext("value") or "") for item in node}


def read_instances(body: bytes, read: Reader) -> tuple[list[Facts], str | None]:
    """Every instance of an answer to DescribeInstances, with what its reservation says, and the next page's token."""
    root = ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", body, count=1))
    found = []
    for reservation in root.iterfind("reservationSet/item"):
        common = {
            "owner_id": reservation.findtext("ownerId"),
            "requester_id": reservation.findtext("requesterId") or "",
            "reservation_id": reservation.findtext("reservationId"),
        }
        for node in reservation.iterfind("instancesSet/item"):
            facts = read(node)
            facts.update(common)
            found.append(facts)
    return found, root.findtext("nextToken") or None
