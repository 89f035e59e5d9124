# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The catalog of apps, held against its schema (app_schema.json) and completed with the schema's defaults.

An app is a mapping with the keys of the schema's ``app``. Everything here takes plain data and gives plain data.
"""

from __future__ import annotations

import difflib
import functools
import json
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ansible.errors import AnsibleFilterError

App = dict[str, t.Any]
Schema = dict[str, t.Any]

TYPE_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}


@functools.cache
def schema() -> Schema:
    """The schema of ``fleet_apps``: JSON Schema, draft 2020-12."""
    return t.cast(Schema, json.loads(Path(__file__).with_name("app_schema.json").read_text(encoding="utf-8")))


def plain(value: t.Any) -> t.Any:
    """Ansible's own containers and strings as plain Python data of the same shape."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like this one, or None where none is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def app_label(app: t.Any, index: int) -> str:
    """How messages call an app: its name, or its place in the list while it has none."""
    name = app.get("name") if isinstance(app, Mapping) else None
    return name if isinstance(name, str) and name else f"fleet_apps[{index}]"


def schema_problems(apps: t.Any) -> list[str]:
    """One sentence for each place where the catalog breaks its schema: the app, the key, and what to write instead."""
    try:
        import jsonschema  # here, because every task that uses a filter imports this file anew
    except ImportError as error:
        raise AnsibleFilterError(
            "The Python library jsonschema is missing on the controller. Install it: pip install jsonschema"
        ) from error
    if not isinstance(apps, list):
        return ["fleet_apps must be a list of apps. Write one entry for each app, beginning with `- name:`."]
    validator = jsonschema.Draft202012Validator(schema())
    errors = sorted(validator.iter_errors(apps), key=lambda error: [str(part) for part in error.absolute_path])
    return [sentence for error in errors for sentence in _sentences(error, apps)]


def _sentences(error: t.Any, apps: list[t.Any]) -> Iterator[str]:
    index, *path = list(error.absolute_path)
    label = app_label(apps[index], index)
    here = _dotted(path)
    rule = error.schema
    if error.validator == "additionalProperties" and "properties" in rule:
        for key in sorted(set(error.instance) - set(rule["properties"])):
            near = nearest(str(key), rule["properties"])
            remedy = f"Write {near} instead" if near else f"Known keys: {', '.join(rule['properties'])}"
            yield f"{label}: {_dotted([*path, key])} is not a key. {remedy}."
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield f"{label}: {_dotted([*path, key])} is missing. {_remedy([*path, key])}"
    elif error.validator == "type":
        wanted = " or ".join(TYPE_NAMES[name] for name in _listed(error.validator_value))
        found = "an empty value" if error.instance is None else json.dumps(error.instance, ensure_ascii=False)
        yield f"{label}: {here} must be {wanted}, not {found}. {_remedy(path)}"
    elif error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        yield f"{label}: {here}.{error.instance} cannot name an environment variable. Use letters, digits and _."
    else:
        found = json.dumps(error.instance, ensure_ascii=False)
        yield f"{label}: {here} cannot be {found}. {_remedy(path)}"


def _remedy(path: list[t.Any]) -> str:
    """What the schema says of the key at this path: its description, and a choice or an example."""
    rule = schema()["$defs"]["app"]
    told, key = rule, ""
    for part in path:
        rule = resolve(rule["items"] if isinstance(part, int) else rule.get("properties", {}).get(part, {}))
        if "description" in rule:
            told, key = rule, part if isinstance(part, str) else key
    if "enum" in told:
        return f"{told['description']} Write one of: {', '.join(map(str, told['enum']))}."
    if "examples" in told:
        return f"{told['description']} For example: `{key}: {json.dumps(told['examples'][0], ensure_ascii=False)}`."
    return str(told["description"])


def resolve(rule: Schema) -> Schema:
    """A schema with its ``$ref`` followed; what stands beside the reference wins."""
    if "$ref" not in rule:
        return rule
    target = schema()["$defs"][rule["$ref"].rsplit("/", 1)[-1]]
    return {**target, **{key: value for key, value in rule.items() if key != "$ref"}}


def _listed(value: t.Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _dotted(path: Iterable[t.Any]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the entry"


def complete(app: App) -> App:
    """The app with every key that has a default filled in, at every depth. Needs an app without schema problems."""
    return t.cast(App, _filled(plain(app), schema()["$defs"]["app"]))


def _filled(value: t.Any, rule: Schema) -> t.Any:
    rule = resolve(rule)
    if isinstance(value, list) and "items" in rule:
        return [_filled(item, rule["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in rule:
        return value
    filled = dict(value)
    for key, sub in rule["properties"].items():
        if key in filled:
            filled[key] = _filled(filled[key], sub)
        elif "default" in sub:
            filled[key] = plain(sub["default"])
    return filled


def select_apps(apps: t.Any, names: t.Any) -> list[App]:
    """The apps of one host, complete, in the order in which the host names them.

    Args:
        apps: The catalog (``fleet_apps``).
        names: The host's ``fleet_app_names``.

    Raises:
        AnsibleFilterError: The catalog breaks its schema, or a name is not in it.
    """
    catalog = plain(apps)
    problems = schema_problems(catalog)
    by_name = {app["name"]: app for app in catalog} if not problems else {}
    if not problems:
        problems = [unknown_app(name, by_name) for name in names if name not in by_name]
    if problems:
        raise AnsibleFilterError("fleet_apps: " + " ".join(problems))
    return [complete(by_name[str(name)]) for name in names]


def unknown_app(name: str, known: Iterable[str]) -> str:
    """The sentence about an app that a host names and the catalog lacks."""
    names = sorted(known)
    near = nearest(name, names)
    remedy = (
        f"Write {near} instead" if near else f"Add it to fleet_apps, or name one of: {', '.join(names) or 'none yet'}"
    )
    return f"{name} is not an app of the catalog. {remedy}."
