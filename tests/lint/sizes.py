"""The rules with numbers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.minato.fleet.tests.lint.house import (
    Finding,
    load_mapping,
    matches,
    plugins,
    roles,
    text,
)

TASK_LINES = 100
MAIN_LINES = 40
TEMPLATE_LINES = 80
TEMPLATE_NESTING = 2
MODULE_LINES = 350
SCENARIO_LINES = 10
SCENARIO_LINES_MANY_HOSTS = 25
DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
STATEMENT = re.compile(r"{%-?\+?\s*(end)?(for|if|macro|call|filter|with|block|set(?=\s+\w+\s*[|%-]))\b")


def _lines(path: Path) -> int:
    return len(text(path).splitlines())


def task_files_fit(root: Path) -> Iterator[Finding]:
    """A task file has at most 100 lines, a role's tasks/main.yml at most 40: it is the role's table of contents."""
    for role in roles(root):
        for path in role.task_files():
            limit = MAIN_LINES if path == role.path / "tasks/main.yml" else TASK_LINES
            if _lines(path) > limit:
                yield Finding(
                    path, limit + 1, f"{_lines(path)} lines, {limit} at most; move a step into a file of its own"
                )


def templates_fit(root: Path) -> Iterator[Finding]:
    """A template has at most 80 lines and two levels of nesting, and no default(): its data is complete before."""
    paths = [path for role in roles(root) for path in role.templates()]
    for path in paths:
        if _lines(path) > TEMPLATE_LINES:
            yield Finding(path, TEMPLATE_LINES + 1, f"{_lines(path)} lines, {TEMPLATE_LINES} at most; split it")
        depth = 0
        for number, content in enumerate(text(path).splitlines(), 1):
            for match in STATEMENT.finditer(content):
                depth += -1 if match[1] else 1
                if depth > TEMPLATE_NESTING and not match[1]:
                    remedy = "prepare the data, or split the template"
                    yield Finding(path, number, f"{depth} levels of nesting, {TEMPLATE_NESTING} at most; {remedy}")
    for path, line, _found in matches(paths, re.compile(r"\|\s*(default|d)\(")):
        yield Finding(path, line, "default() in a template; give the variable its default in the argument spec")


def modules_fit(root: Path) -> Iterator[Finding]:
    """A module has at most 350 lines without its documentation."""
    for path in plugins(root, "modules", "action"):
        documented = sum(
            (node.end_lineno or node.lineno) - node.lineno + 1
            for node in ast.parse(text(path)).body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in DOCUMENTATION
        )
        lines = _lines(path) - documented
        if lines > MODULE_LINES:
            yield Finding(
                path, 1, f"{lines} lines without docs, {MODULE_LINES} at most; move planning into module_utils"
            )


def scenarios_fit(root: Path) -> Iterator[Finding]:
    """A scenario's molecule.yml has at most 10 lines, 25 with several hosts or for a whole site: the rest is shared."""
    for path in sorted(root.glob("molecule/*/molecule.yml")):
        many = path.parent.name.startswith("site_") or len(load_mapping(path).get("platforms") or []) > 1
        limit = SCENARIO_LINES_MANY_HOSTS if many else SCENARIO_LINES
        lines = [line for line in text(path).splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if len(lines) > limit:
            yield Finding(
                path, limit + 1, f"{len(lines)} lines, {limit} at most; .config/molecule/config.yml has what is common"
            )


RULES = (task_files_fit, templates_fit, modules_fit, scenarios_fit)
