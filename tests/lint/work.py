"""How tasks do their work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.minato.fleet.tests.lint.house import (
    Finding,
    Mapping,
    load,
    matches,
    tasks,
    text,
    tracked,
)

COMMANDS = {"ansible.builtin." + name for name in ("command", "shell", "raw", "script", "expect")}
# Written in parts, so that this file does not break its own rule.
SILENCERS = (
    "no" + "qa",
    "pylint: " + "disable",
    "yamllint " + "disable",
    "skip_ansible_" + "lint",
)


def _tasks(root: Path, *places: str) -> Iterator[tuple[Path, Mapping]]:
    for place in places:
        for path in sorted(root.glob(f"{place}/**/*.yml")):
            if {"tasks", "handlers", "playbooks", "molecule"} & set(path.relative_to(root).parts[:-1]):
                yield from ((path, task) for task in tasks(load(path)))


def commands_tell_what_they_change(root: Path) -> Iterator[Finding]:
    """A command stands only where no module exists; a comment says why, and changed_when or creates what it changes."""
    for path, task in _tasks(root, "roles", "playbooks", "molecule"):
        module = next((name for name in task if name in COMMANDS), None)
        if module is None:
            continue
        arguments = {**(task.get("args") or {}), **(task[module] if isinstance(task[module], dict) else {})}
        if "changed_when" not in task and not {"creates", "removes"} & set(arguments):
            yield Finding(path, task.line, f"{module} without changed_when, creates or removes; say what it changes")
        above = text(path).splitlines()[task.line - 2].lstrip() if task.line > 1 else ""
        if "molecule" not in path.relative_to(root).parts and not above.startswith("#"):
            yield Finding(path, task.line, f"{module} without a comment; say above the task why no module does it")


def failures_are_not_hidden(root: Path) -> Iterator[Finding]:
    """No task looks away from a failure."""
    for path, task in _tasks(root, "roles", "playbooks", "molecule"):
        if task.get("ignore_errors"):
            yield Finding(
                path, task.line, "ignore_errors; name the failure that is no failure in failed_when, or let it fail"
            )
        if task.get("failed_when") is False:
            yield Finding(path, task.line, "failed_when: false; name the failure that is no failure, or let it fail")


def loops_are_labelled(root: Path) -> Iterator[Finding]:
    """A loop over mappings says what to print for each: whole items are unreadable, and may hold secrets."""
    for path, task in _tasks(root, "roles", "playbooks"):
        looped = "loop" in task or any(name.startswith("with_") for name in task)
        if looped and "label" not in (task.get("loop_control") or {}):
            yield Finding(path, task.line, "a loop without a label; add loop_control: {label: ...}")


def checks_are_not_silenced(root: Path) -> Iterator[Finding]:
    """What a linter finds is mended, not silenced in a comment."""
    pattern = re.compile(r"(?:#|//)\s*(?:" + "|".join(SILENCERS) + r")\b")
    for path, line, found in matches(tracked(root), pattern):
        yield Finding(path, line, f"{found!r}; mend what it hides")


RULES = (commands_tell_what_they_change, failures_are_not_hidden, loops_are_labelled, checks_are_not_silenced)
