"""What the rules share: findings, the tree's files, and YAML that remembers its lines.

A rule is a function from the tree's root to its findings. `test_house.py` runs every rule on this tree and
`test_rules_fail.py` runs every rule on a tree that breaks it.
"""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
TASK_LISTS = ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers")


class Finding(NamedTuple):
    path: Path
    line: int
    text: str  # what is wrong, and what to do instead

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


Rule = Callable[[Path], Iterator[Finding]]


class Mapping(dict[str, Any]):
    """A YAML mapping; `line` is where it starts, `lines` where each of its keys does."""

    line: int = 1
    lines: dict[str, int]


class _Loader(yaml.SafeLoader):
    """Plain YAML; Ansible's own tags (!vault, !unsafe) stand for their text."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Iterator[Mapping]:
    mapping = Mapping()
    mapping.line = node.start_mark.line + 1
    mapping.lines = {}
    yield mapping
    loader.flatten_mapping(node)
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node))
        mapping[key] = loader.construct_object(value_node, deep=True)
        mapping.lines[key] = key_node.start_mark.line + 1


def _tagged(loader: _Loader, _suffix: str, node: yaml.Node) -> Any:
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_multi_constructor("!", _tagged)


@functools.cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@functools.cache
def load(path: Path) -> Any:
    """The one YAML document of a file; None if the file is missing or empty."""
    return yaml.load(text(path), _Loader) if path.is_file() else None


def load_mapping(path: Path) -> Mapping:
    document = load(path)
    return document if isinstance(document, Mapping) else Mapping()


def strings(node: Any, key: str = "", line: int = 1) -> Iterator[tuple[str, str, int]]:
    """Every string below a YAML node, with the key it stands under and the line of that key."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from strings(value, name, node.lines[name])
    elif isinstance(node, list):
        for value in node:
            yield from strings(value, key, value.line if isinstance(value, Mapping) else line)
    elif isinstance(node, str):
        yield key, node, line


def tasks(node: Any) -> Iterator[Mapping]:
    """Every task of a task file or playbook, those inside blocks and plays included."""
    for item in node if isinstance(node, list) else []:
        if not isinstance(item, Mapping):
            continue
        if not any(name in item for name in TASK_LISTS) and "hosts" not in item:
            yield item
        for name in TASK_LISTS:
            yield from tasks(item.get(name))


@dataclass(frozen=True)
class Role:
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def spec_path(self) -> Path:
        return self.path / "meta/argument_specs.yml"

    @property
    def defaults_path(self) -> Path:
        return self.path / "defaults/main.yml"

    def entry_points(self) -> Mapping:
        specs = load_mapping(self.spec_path).get("argument_specs")
        return specs if isinstance(specs, Mapping) else Mapping()

    def task_files(self) -> list[Path]:
        return sorted([*self.path.glob("tasks/**/*.yml"), *self.path.glob("handlers/**/*.yml")])

    def vars_files(self) -> list[Path]:
        return sorted(self.path.glob("vars/**/*.yml"))

    def templates(self) -> list[Path]:
        return [path for path in sorted(self.path.glob("templates/**/*")) if path.is_file()]


def roles(root: Path) -> list[Role]:
    return [Role(path) for path in sorted(root.glob("roles/*")) if path.is_dir()]


def plugins(root: Path, *kinds: str) -> list[Path]:
    return [path for kind in kinds for path in sorted(root.glob(f"plugins/{kind}/*.py"))]


@functools.cache
def tracked(root: Path) -> tuple[Path, ...]:
    """The files that git has or would add; all files where there is no repository. Only those that are text."""
    if (root / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
        listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
        paths = [root / name for name in listed.split("\0") if name]
    else:
        paths = list(root.rglob("*"))
    return tuple(path for path in sorted(paths) if path.is_file() and b"\0" not in path.read_bytes()[:1024])


def matches(paths: tuple[Path, ...] | list[Path], pattern: re.Pattern[str]) -> Iterator[tuple[Path, int, str]]:
    """Path, line and matched text of every match in the files."""
    for path in paths:
        try:
            content = text(path)
        except UnicodeDecodeError:
            continue
        for match in pattern.finditer(content):
            yield path, content.count("\n", 0, match.start()) + 1, match.group()
