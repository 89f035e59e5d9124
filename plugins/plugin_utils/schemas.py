# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet's schema (fleet_schema.json): sentences about what breaks it, and values completed with its defaults.

Everything here takes plain data (see ``plain``) and gives plain data. What the schema calls ``writeOnly`` is a secret
and never quoted.
"""

from __future__ import annotations

import difflib
import functools
import json
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ansible.errors import AnsibleFilterError

Schema = dict[str, t.Any]
Place = list[t.Any]

TYPE_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "nothing",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}
SECRET_TYPES: dict[type, str] = {str: "text", bool: "true or false", list: "a list", dict: "a mapping", int: "a number"}
QUOTED = 80  # characters of a value that a sentence shows


@functools.cache
def schema() -> Schema:
    """JSON Schema, draft 2020-12: the fleet's variables, and ``$defs`` for what they are made of."""
    return t.cast(Schema, json.loads(Path(__file__).with_name("fleet_schema.json").read_text(encoding="utf-8")))


def resolve(rule: Schema) -> Schema:
    """A schema with its ``$ref`` followed; what stands beside the reference wins."""
    if "$ref" not in rule:
        return rule
    target = schema()["$defs"][rule["$ref"].rsplit("/", 1)[-1]]
    return {**target, **{key: value for key, value in rule.items() if key != "$ref"}}


def plain(value: t.Any) -> t.Any:
    """Ansible's own containers and strings as plain Python data of the same shape."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known word most like this one, or None where none is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness)
    return found[0] if found else None


def errors(value: t.Any, rule: Schema) -> list[t.Any]:
    """What jsonschema finds wrong with a value, in the order of the places."""
    try:
        import jsonschema  # here, because every task that uses a filter imports this file anew
    except ImportError as error:
        raise AnsibleFilterError(
            "The Python library jsonschema is missing on the controller. Install it: pip install jsonschema"
        ) from error
    validator = jsonschema.Draft202012Validator({**rule, "$defs": schema()["$defs"]})
    return sorted(validator.iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path])


def sentences(error: t.Any, label: str, place: Place, rule: Schema) -> Iterator[str]:
    """What is wrong, where, and what to write instead.

    Args:
        error: One of ``errors``.
        label: Whose it is: an app's name, or a host's.
        place: Keys and indexes from what the label names to the mistake.
        rule: The schema of what the label names.
    """
    here = _dotted(place)
    broken = error.schema
    if error.validator == "additionalProperties" and "properties" in broken:
        for key in sorted(set(error.instance) - set(broken["properties"])):
            near = nearest(str(key), broken["properties"])
            remedy = f"Write {near} instead" if near else f"Known keys: {', '.join(broken['properties'])}"
            yield f"{label}: {_dotted([*place, key])} is not a key. {remedy}."
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield f"{label}: {_dotted([*place, key])} is missing. {_remedy([*place, key], rule)}"
    elif error.validator == "oneOf":
        yield from _either(error, label, place, rule)
    elif error.validator == "type":
        wanted = " or ".join(TYPE_NAMES[name] for name in _listed(error.validator_value))
        found = "an empty value" if error.instance is None else _quoted(error)
        yield f"{label}: {here} must be {wanted}, not {found}. {_remedy(place, rule)}"
    elif error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        yield f"{label}: {here}.{error.instance} cannot name an environment variable. Use letters, digits and _."
    elif error.validator == "uniqueItems":
        twice = [item for item in error.instance if error.instance.count(item) > 1]
        yield f"{label}: {here} has {twice[0]} twice. Write it once."
    elif error.validator == "pattern" and error.instance == "":
        yield f"{label}: {here} is empty. {_remedy(place, rule)}"
    elif error.validator in ("minimum", "maximum") and {"minimum", "maximum"} <= set(broken):
        span = f"from {broken['minimum']} to {broken['maximum']}"
        yield f"{label}: {here} must be {span}, not {error.instance}. {_remedy(place, rule)}"
    else:
        yield f"{label}: {here} cannot be {_quoted(error)}. {_remedy(place, rule)}"


def _either(error: t.Any, label: str, place: Place, rule: Schema) -> Iterator[str]:
    """The sentence about a mapping that has none, or several, of the keys of which it has to have one."""
    if not isinstance(error.instance, Mapping):
        return  # that is said by the type
    keys = [choice["required"][0] for choice in error.validator_value]
    held = [_dotted([*place, key]) for key in keys if key in error.instance]
    if held:
        yield f"{label}: {' and '.join(held)} cannot stand together. Keep one of them."
    else:
        here, other = ([*place, key] for key in keys)
        yield (
            f"{label}: {_dotted(here)} is missing. {_remedy(here, rule)}"
            f" Or write {_dotted(other)}. {_remedy(other, rule)}"
        )


def _quoted(error: t.Any) -> str:
    """The value as YAML would take it, shortened; the name of its type where it is a secret."""
    if error.schema.get("writeOnly"):
        return next((name for kind, name in SECRET_TYPES.items() if isinstance(error.instance, kind)), "this value")
    text = json.dumps(error.instance, ensure_ascii=False)
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"


def _remedy(place: Place, rule: Schema) -> str:
    """What the schema says of this place: its description, and a choice or an example."""
    told, key = rule, ""
    for part in place:
        below = rule.get("items", {}) if isinstance(part, int) else rule.get("properties", {}).get(part)
        rule = resolve(below if below is not None else _any_other(rule))
        if "description" in rule:
            told, key = rule, part if isinstance(part, str) else key
    if "enum" in told:
        return f"{told['description']} Write one of: {', '.join(map(str, told['enum']))}."
    if "examples" in told:
        return f"{told['description']} For example: `{key}: {json.dumps(told['examples'][0], ensure_ascii=False)}`."
    return str(told["description"])


def _any_other(rule: Schema) -> Schema:
    other = rule.get("additionalProperties")
    return other if isinstance(other, dict) else {}


def _listed(value: t.Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _dotted(place: Iterable[t.Any]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.lstrip(".") or "the entry"


def complete(value: t.Any, rule: Schema) -> t.Any:
    """The value with every key that has a default filled in, at every depth. Needs a value without errors."""
    rule = resolve(rule)
    if isinstance(value, list) and "items" in rule:
        return [complete(item, rule["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in rule:
        return value
    filled = dict(value)
    for key, below in rule["properties"].items():
        if key in filled:
            filled[key] = complete(filled[key], below)
        elif "default" in below:
            filled[key] = plain(below["default"])
    return filled
