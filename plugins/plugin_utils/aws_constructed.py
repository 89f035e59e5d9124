# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user's `compose`, `groups` and `keyed_groups` make of a host: the same as Ansible's constructed plugins."""

from __future__ import annotations

import functools
import json
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ansible.inventory.group import to_safe_group_name
from ansible_collections.minato.fleet.plugins.plugin_utils import aws_names
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_expressions import Expressions
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import OptionError, Options

MARKERS = ("{{", "{%", "{#")
EMPTY = (None, "")


@dataclass
class Room:
    """What is needed beside the answers; `existing` is what earlier inventory files say of a host."""

    options: Options
    expressions: Expressions
    template: aws_names.Template
    text: Callable[[t.Any, Mapping[str, t.Any]], t.Any]
    existing: Callable[[str], dict[str, t.Any]]
    route53: dict[str, list[str]] = field(default_factory=dict)


@functools.cache
def safe(group: str) -> str:
    """A group's name as Ansible allows it."""
    return t.cast(str, to_safe_group_name(group, force=True, silent=True))


def composed(room: Room, seen: dict[str, t.Any], name: str) -> dict[str, t.Any]:
    """The variables of `compose`."""
    found: dict[str, t.Any] = {}
    for variable, expression in room.options.compose.items():
        try:
            found[variable] = _plain(room.expressions.value(expression, seen))
        except Exception as error:
            if room.options.strict:
                raise OptionError(f"Could not set {variable} for host {name}: {error}") from error
    return found


def _plain(value: t.Any) -> t.Any:
    """What a cache could give back: cold and warm runs say the same."""
    if type(value) in (str, int, bool, float, type(None)):
        return value
    return json.loads(json.dumps(value, default=lambda one: one.isoformat() if hasattr(one, "isoformat") else str(one)))


def constructed(
    room: Room, known: dict[str, t.Any], name: str, before: list[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """The groups of `groups` and `keyed_groups`, and what lies below what; `before` are those it has."""
    options = room.options
    groups: list[str] = []
    parents: list[tuple[str, str]] = []
    for group, condition in options.groups.items():
        try:
            if room.expressions.condition(condition, {**known, "group_names": sorted(before)}):
                groups.append(safe(group))
        except Exception as error:
            if options.strict:
                raise OptionError(f"Could not add host {name} to group {group}: {error}") from error
    for entry in options.keyed_groups:
        variables = {**known, "group_names": sorted([*before, *groups])}
        parent = entry.get("parent_group")
        try:
            key = room.expressions.value(entry.get("key"), variables)
            templated = isinstance(parent, str) and any(marker in parent for marker in MARKERS)
            if templated and (key or (key in EMPTY and entry.get("default_value") is not None)):
                parent = room.text(parent, variables)
        except Exception as error:
            if options.strict:
                raise OptionError(
                    f"Could not generate group for host {name} from {entry.get('key')}: {error}"
                ) from error
            continue
        for group in keyed(key, entry, options, name):
            groups.append(group)
            if parent and not isinstance(parent, str):
                raise OptionError(f"keyed_groups: parent_group gives {parent!r} on {name}, which is no text.")
            if parent and safe(parent) == group:
                raise OptionError(f"keyed_groups: {group} would be its own parent_group on {name}. Write another.")
            if parent:
                parents.append((safe(parent), group))
    return groups, parents


def keyed(key: t.Any, entry: Mapping[str, t.Any], options: Options, name: str) -> list[str]:
    """The groups that one entry of `keyed_groups` makes of a value."""
    default = entry.get("default_value")
    separator = entry.get("separator", "_")
    if not key and not (key in EMPTY and default is not None):
        if options.strict and key not in ([], {}):
            raise OptionError(f"No key or key resulted empty for {entry.get('key')} in host {name}, invalid entry")
        return []
    if key in EMPTY:
        found = [default]
    elif isinstance(key, str):
        found = [key]
    elif isinstance(key, list):
        found = [default if one in EMPTY and default is not None else one for one in key]
    elif isinstance(key, Mapping):
        found = []
        for label, value in key.items():
            if value in EMPTY and default is None and entry.get("trailing_separator") is False:
                found.append(label)
            else:
                found.append(f"{label}{separator}{default if value in EMPTY and default is not None else value}")
    else:
        raise OptionError(f"keyed_groups: {entry.get('key')} is neither text, list nor mapping on {name}.")
    prefix = entry.get("prefix", "")
    if prefix == "" and not options.leading_separator:
        separator = ""
    groups = [safe(f"{prefix}{separator}{one}") for one in found]
    if "" in groups:
        raise OptionError(f"keyed_groups: {entry.get('key')} gives a group without a name on {name}.")
    return groups
