"""A role's contract: meta/argument_specs.yml and defaults/main.yml say the same, in keys, values and types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.minato.fleet.tests.lint.house import (
    Finding,
    Mapping,
    Role,
    load_mapping,
    roles,
    text,
)

# An option with such a name holds a secret, unless its type says that it names a file or answers yes or no.
SECRET_NAME = re.compile(r"password|passphrase|secret|token|credential|private|(^|_)keys?$|^values$")
NOT_SECRET: set[tuple[str, str]] = set()  # (role, dotted option): names that only sound like a secret
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (float, int),
    "int": (int,),
    "list": (list,),
    "path": (str,),
    "raw": (object,),
    "str": (str,),
}


def options(role: Role) -> Iterator[tuple[str, str, Mapping, int]]:
    """Entry point, name, specification and line of each top-level option."""
    for point, spec in role.entry_points().items():
        for name, option in (spec.get("options") or {}).items():
            yield point, name, option, spec["options"].lines[name]


def nested(name: str, option: Mapping, line: int) -> Iterator[tuple[str, Mapping, int]]:
    """An option and all below it, with dotted names."""
    yield name, option, line
    children = option.get("options") or Mapping()
    for child, spec in children.items():
        yield from nested(f"{name}.{child}", spec, children.lines[child])


def defaults_equal_specs(root: Path) -> Iterator[Finding]:
    """Every default is declared, every declared option has its default, and both say the same value."""
    for role in roles(root):
        defaults = load_mapping(role.defaults_path)
        declared = set()
        for _point, name, option, line in options(role):
            declared.add(name)
            if option.get("required"):
                if name in defaults:
                    yield Finding(role.spec_path, line, f"{name} is required and has a default; it cannot be both")
            elif name not in defaults:
                yield Finding(
                    role.spec_path, line, f"{name} is not in defaults/main.yml; add it there, or make it required"
                )
            elif _plain(option.get("default")) != _plain(defaults[name]):
                both = f"{option.get('default')!r} here and {defaults[name]!r} in defaults/main.yml"
                yield Finding(role.spec_path, line, f"{name} is {both}; make them one")
        for name in defaults:
            if name not in declared:
                line = defaults.lines[name]
                yield Finding(
                    role.defaults_path, line, f"{name} is not in meta/argument_specs.yml; declare it, or drop it"
                )


def _plain(value: Any) -> Any:
    """A value that differs where YAML's types differ: True is not 1, "1" is not 1."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return (type(value).__name__, value)


def entry_points_agree(root: Path) -> Iterator[Finding]:
    """Each entry point is a task file, and an option that several of them take is the same in all."""
    for role in roles(root):
        points = role.entry_points()
        for point in points:
            if not (role.path / f"tasks/{point}.yml").is_file():
                yield Finding(
                    role.spec_path,
                    points.lines[point],
                    f"there is no tasks/{point}.yml; add it, or drop the entry point",
                )
        seen: dict[str, tuple[str, Mapping]] = {}
        for point, name, option, line in options(role):
            first, same = seen.setdefault(name, (point, option))
            for key in ("type", "elements", "default", "choices", "options"):
                if _plain(same.get(key)) != _plain(option.get(key)):
                    yield Finding(
                        role.spec_path, line, f"{name}: {key} differs between {first} and {point}; make them one"
                    )


def names_are_the_roles_own(root: Path) -> Iterator[Finding]:
    """Options and defaults start with <role>_, private variables with __<role>_."""
    for role in roles(root):
        for _point, name, _option, line in options(role):
            if not name.startswith(f"{role.name}_"):
                yield Finding(role.spec_path, line, f"{name} does not start with {role.name}_; rename it")
        for path in role.vars_files():
            variables = load_mapping(path)
            for name in variables:
                if not name.startswith(f"__{role.name}_"):
                    yield Finding(path, variables.lines[name], f"{name} does not start with __{role.name}_; rename it")


def options_are_described(root: Path) -> Iterator[Finding]:
    """Each option, nested ones too, has a description and a type; lists say of what; defaults are of that type."""
    for role in roles(root):
        for _point, top, spec, start in options(role):
            for name, option, line in nested(top, spec, start):
                kind = option.get("type")
                if not option.get("description"):
                    yield Finding(
                        role.spec_path, line, f"{name} has no description; say what it is, its unit and its effect"
                    )
                if kind not in PYTHON_TYPES:
                    yield Finding(
                        role.spec_path, line, f"{name} has the type {kind!r}; one of {', '.join(PYTHON_TYPES)}"
                    )
                    continue
                if kind == "list" and "elements" not in option:
                    yield Finding(role.spec_path, line, f"{name} is a list of what? add elements")
                default = option.get("default")
                wrong = not isinstance(default, PYTHON_TYPES[kind]) or (kind in ("int", "float") and default is True)
                templated = isinstance(default, str) and "{{" in default
                if default is not None and wrong and not templated:
                    yield Finding(role.spec_path, line, f"the default of {name}, {default!r}, is no {kind}")


def secrets_are_marked(root: Path) -> Iterator[Finding]:
    """An option that holds a secret has no_log, so that no message and no verbosity shows it."""
    for role in roles(root):
        for _point, top, spec, start in options(role):
            for name, option, line in nested(top, spec, start):
                silent = option.get("no_log") is not None or option.get("type") in ("path", "bool", "int", "list")
                if SECRET_NAME.search(name.rsplit(".", 1)[-1]) and not silent and (role.name, name) not in NOT_SECRET:
                    remedy = "add no_log: true (or type: path if it names a file; or list it in NOT_SECRET)"
                    yield Finding(role.spec_path, line, f"{name} sounds like a secret; {remedy}")


def defaults_are_explained(root: Path) -> Iterator[Finding]:
    """A comment above each default; below each empty list one commented example with all its keys."""
    for role in roles(root):
        if not role.defaults_path.is_file():
            continue
        lines = text(role.defaults_path).splitlines()
        defaults = load_mapping(role.defaults_path)
        keys = {
            name: [child.rsplit(".", 1)[-1] for child, _spec, _line in nested(name, option, 0)][1:]
            for _point, name, option, _line in options(role)
        }
        for name, line in defaults.lines.items():
            # One comment may explain the paragraph of variables below it.
            above = line - 2
            while above > 0 and lines[above] and not lines[above].startswith("#"):
                above -= 1
            if not lines[above].startswith("#"):
                yield Finding(role.defaults_path, line, f"no comment above {name}; say what it is for")
            if defaults[name] != [] or not keys.get(name):
                continue
            example = []
            for following in lines[line:]:
                if not following.startswith("#"):
                    break
                example.append(following)
            missing = [key for key in keys[name] if not re.search(rf"\b{key}:", "\n".join(example))]
            if missing:
                yield Finding(
                    role.defaults_path,
                    line,
                    f"the example below {name} lacks {', '.join(missing)}; show every key once",
                )


RULES = (
    defaults_equal_specs,
    entry_points_agree,
    names_are_the_roles_own,
    options_are_described,
    secrets_are_marked,
    defaults_are_explained,
)
