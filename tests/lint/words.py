"""What must not stand in any file, and what must stand in two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.minato.fleet.tests.lint.house import Finding, matches, text, tracked

# Written in parts, so that this file does not break its own rule.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("galaxy", "ansible", "com"),
        ("registry-1", "docker", "io"),
        ("index", "docker", "io"),
        ("hub", "docker", "com"),
        ("quay", "io"),
        ("ghcr", "io"),
    )
]
MACHINES = ["/" + "work/", "/" + "Users/", "/opt/" + "wheels", "/opt/" + "pypi", "/tmp/" + "brief"]


def no_registry_is_named(root: Path) -> Iterator[Finding]:
    """Packages come from where the machine's own settings say, so that a mirror or a proxy works everywhere."""
    pattern = re.compile(r"(?<![\w.-])(?:" + "|".join(map(re.escape, REGISTRIES)) + r")\b")
    for path, line, host in matches(tracked(root), pattern):
        yield Finding(path, line, f"names the registry {host}; leave it to the tool's own settings")


def no_machine_is_meant(root: Path) -> Iterator[Finding]:
    """No path of the machine that someone developed on."""
    here = [f"{place}/" for place in (root, Path.home()) if len(place.parts) > 2]
    pattern = re.compile(r"(?<![\w.~}$*-])(?:" + "|".join(map(re.escape, MACHINES + here)) + r")")
    for path, line, found in matches(tracked(root), pattern):
        yield Finding(path, line, f"{found} is a place on one machine; write it relative to the checkout")


def _outline(markdown: str) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
    """Line and level of each heading; line and text of each code block."""
    headings, blocks = [], []
    block: list[str] | None = None
    start = 0
    for number, line in enumerate(markdown.splitlines(), 1):
        if line.lstrip().startswith("```"):
            if block is None:
                block, start = [line.strip()], number
            else:
                blocks.append((start, "\n".join(block)))
                block = None
        elif block is not None:
            block.append(line)
        elif match := re.match(r"(#+) ", line):
            headings.append((number, len(match[1])))
    return headings, blocks


def readmes_say_the_same(root: Path) -> Iterator[Finding]:
    """README.ja.md has the headings of README.md and, word for word, its code blocks."""
    english, japanese = root / "README.md", root / "README.ja.md"
    if not english.is_file() or not japanese.is_file():
        missing = english if not english.is_file() else japanese
        yield Finding(missing, 1, "is missing; the README is written in English and in Japanese")
        return
    headings, blocks = _outline(text(english))
    their_headings, their_blocks = _outline(text(japanese))
    for what, ours, theirs in (("heading", headings, their_headings), ("code block", blocks, their_blocks)):
        for (_line, mine), (line, other) in zip(ours, theirs, strict=False):
            if mine != other:
                yield Finding(japanese, line, f"this {what} is not that of README.md: {other!r} instead of {mine!r}")
        if len(ours) != len(theirs):
            yield Finding(japanese, 1, f"{len(theirs)} {what}s, {len(ours)} in README.md; bring the two in line")


RULES = (no_registry_is_named, no_machine_is_meant, readmes_say_the_same)
