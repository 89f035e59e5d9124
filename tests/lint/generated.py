"""What is written from elsewhere in the tree: `make docs` writes it, `make lint` finds what is stale.

Tables from specs and schema, and each role's example, which is what its scenario runs. Each stands between the two
markers of a Markdown file; the rest of the file is written by hand.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.minato.fleet.tests.lint.house import ROOT, Mapping, Role, load, roles

SPEC, EXAMPLE, VARIABLES = "spec", "example", "variables"
# Ansible's markup in descriptions: O(option), V(value), C(code), M(module), U(address) ...
MARKUP = re.compile(r"\b([A-Z])\(([^)]*)\)")


def documents(root: Path) -> Iterator[tuple[Path, str]]:
    """Each document with generated parts, and the text it should have; an empty text if it lacks the markers."""
    for role in roles(root):
        readme = role.path / "README.md"
        scenario = root / "molecule" / role.name
        if readme.is_file() and role.spec_path.is_file():
            parts = {SPEC: role_table(role)}
            if (scenario / "converge.yml").is_file():
                parts[EXAMPLE] = role_example(scenario)
            yield readme, _filled(readme, parts)
    path, page = root / "plugins/plugin_utils/fleet_schema.json", root / "docs/apps.md"
    if path.is_file() and page.is_file():
        schema = json.loads(path.read_text(encoding="utf-8"))
        yield page, _filled(page, {VARIABLES: variables_table(schema), SPEC: app_table(schema)})


def _filled(path: Path, parts: dict[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        begin, end = markers(name)
        before, begins, rest = text.partition(begin)
        _stale, ends, after = rest.partition(end)
        if not (begins and ends) or begin in after:
            return ""
        text = f"{before}{begin}\n\n{part}\n\n{end}{after}"
    return text


def markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def role_example(scenario: Path) -> str:
    """The playbook that the role's scenario runs, and the variables that it reads from a file."""
    playbook = scenario / "converge.yml"
    plays = load(playbook)
    named = dict.fromkeys(name for play in plays for name in play.get("vars_files", []))
    blocks = [_yaml_block(playbook)]
    blocks += [f"with `{name}`:\n\n{_yaml_block(scenario / name)}" for name in named]
    return "\n\n".join(blocks)


def _yaml_block(path: Path) -> str:
    return f"```yaml\n{path.read_text(encoding='utf-8').removeprefix('---').strip()}\n```"


def role_table(role: Role) -> str:
    """Each entry point of a role with its variables; those that the main one has too are named, not repeated."""
    parts: list[str] = []
    shown: set[str] = set()
    for point, spec in sorted(role.entry_points().items(), key=lambda item: (item[0] != "main", item[0])):
        options = spec.get("options") or {}
        title = f"`{point}`" if point != "main" else "`main`"
        parts.append(f"**Entry point {title}**: {spec.get('short_description', '').rstrip('.')}.")
        again = [name for name in options if name in shown]
        if again:
            parts.append("Takes " + ", ".join(f"`{name}`" for name in again) + " as above.")
        rows = [row for name in options if name not in shown for row in _option_rows(name, options[name])]
        if rows:
            parts.append(_table(("Variable", "Type", "Default", "Meaning"), rows))
        shown |= set(options)
    return "\n\n".join(parts)


def _option_rows(name: str, option: Mapping) -> Iterator[tuple[str, ...]]:
    kind = option.get("type", "str")
    if kind == "list":
        kind = f"list of {option.get('elements', '?')}"
    meaning = option.get("description") or ""
    meaning = " ".join(meaning) if isinstance(meaning, list) else meaning
    if option.get("choices"):
        meaning += " One of " + ", ".join(_code(choice) for choice in option["choices"]) + "."
    if option.get("no_log"):
        meaning += " Secret."
    yield f"`{name}`", kind, _default(option, bool(option.get("required"))), meaning
    for child, spec in (option.get("options") or {}).items():
        yield from _option_rows(f"{name}{'[]' if option.get('type') == 'list' else ''}.{child}", spec)


def app_table(schema: dict[str, Any]) -> str:
    """The keys of an app, those of nested objects with dotted names."""
    return _table(("Key", "Type", "Default", "Meaning"), list(_schema_rows("", schema["$defs"]["app"], schema)))


def variables_table(schema: dict[str, Any]) -> str:
    """The fleet's variables but the catalog, whose keys have a table of their own."""
    others = {name: rule for name, rule in schema["properties"].items() if name != "fleet_apps"}
    return _table(("Variable", "Type", "Default", "Meaning"), list(_schema_rows("", {"properties": others}, schema)))


def _schema_rows(prefix: str, node: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    node = _resolved(node, schema)
    told: set[str] = set()
    for name, reference in node.get("properties", {}).items():
        key = _resolved(reference, schema)
        items = _resolved(key.get("items", {}), schema)
        yield (
            f"`{prefix}{name}`",
            _schema_type(key, items),
            _default(key, name in node.get("required", [])),
            _schema_meaning(key),
        )
        if reference.get("$ref") not in told:  # neighbours of one kind have the same keys
            yield from _schema_rows(f"{prefix}{name}.", key, schema)
            told.add(reference.get("$ref", ""))
        yield from _schema_rows(f"{prefix}{name}[].", items, schema)


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A node with what it refers to; its own words win."""
    if "$ref" not in node:
        return node
    target: Any = schema
    for part in node["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**_resolved(target, schema), **{key: value for key, value in node.items() if key != "$ref"}}


def _schema_type(key: dict[str, Any], items: dict[str, Any]) -> str:
    if "enum" in key:
        return " or ".join(_code(value) for value in key["enum"])
    kind = key.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {_schema_type(items, {})}" if items else "list"
    return str({"object": "mapping"}.get(kind, kind))


def _schema_meaning(key: dict[str, Any]) -> str:
    meaning = str(key.get("description", ""))
    if "minimum" in key and "maximum" in key:
        meaning += f" From {key['minimum']} to {key['maximum']}."
    if key.get("examples"):
        meaning += f" Example: {_code(key['examples'][0])}."
    return meaning


def _default(option: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    return _code(option["default"]) if option.get("default") is not None else ""


def _code(value: Any) -> str:
    """A value as one would write it in YAML."""
    bare = isinstance(value, str) and yaml.safe_load(value) == value
    shown = value if bare else json.dumps(value, ensure_ascii=False)
    return f"`{shown}`"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *(tuple(_cell(cell) for cell in row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    text = MARKUP.sub(lambda match: match[2] if match[1] in "BI" else f"`{match[2]}`", text)
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests/bin/docs", description="Write what is made from specs, schema and scenarios."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; show what is stale, and fail if anything is"
    )
    check = parser.parse_args().check
    failed = False
    for path, wanted in documents(ROOT):
        name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        if not wanted:
            print(
                f"{name}: needs the markers of each generated part, once: {' '.join(markers('NAME'))}", file=sys.stderr
            )
            failed = True
        elif wanted != text and check:
            sys.stdout.writelines(
                difflib.unified_diff(text.splitlines(True), wanted.splitlines(True), name, f"{name} (make docs)")
            )
            failed = True
        elif wanted != text:
            path.write_text(wanted, encoding="utf-8")
            print(f"{name}: written")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
