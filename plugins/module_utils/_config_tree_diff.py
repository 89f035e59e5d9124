# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan shown as Ansible's `--diff` wants it, with nothing secret in it."""

from __future__ import annotations

import re
from typing import Iterable

from ansible_collections.minato.fleet.plugins.module_utils._config_tree_plan import FILE, LINK, Change, Node, Plan

# Nothing, a comment, or a variable; between quotes that nothing escapes a value may go on over several lines.
_LINE = re.compile(
    r"""[ \t]*(?:\#[^\n]*|(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)="""
    r"""(?P<value>'[^']*'|"[^"\\]*"|[^'"\n]*(?<!\\)))?[ \t\r]*(?:\n|\Z)"""
)
_HIDDEN = "(content hidden)\n"
_SHORTEST = 4  # characters; masking less than that would blank out half of a message and hide no secret
_LARGEST = 1024 * 1024  # bytes of a file that a diff still shows


def diff(plan: Plan) -> list[dict[str, str]]:
    """Return one entry per change of content and one per change of owner, group or mode."""
    shown = []
    for change in plan.changes:
        if change.rewrites:
            before, after = _texts(change)
            shown.append(_entry(change, before, after))
        if change.before is not None and change.after is not None and not change.before.same_access(change.after):
            header = f"{change.path} (owner, group, mode)"
            shown.append({
                "before_header": header, "before": _access(change.before),
                "after_header": header, "after": _access(change.after),
            })  # fmt: skip
    return shown


def _entry(change: Change, before: str, after: str) -> dict[str, str]:
    return {
        "before_header": change.path if change.before is not None else f"{change.path} (absent)",
        "before": before,
        "after_header": change.path if change.after is not None else f"{change.path} (absent)",
        "after": after,
    }


def _access(node: Node) -> str:
    return f"{node.owner}:{node.group} {node.mode:04o}\n"


def _texts(change: Change) -> tuple[str, str]:
    nodes = (change.before, change.after)
    if any(node is not None and node.kind == FILE and node.secret for node in nodes):
        return _secret_texts(change.before, change.after)
    before, after = _text(change.before), _text(change.after)
    return before, after


def _text(node: Node | None) -> str:
    if node is None:
        return ""
    if node.kind == LINK:
        return f"link to {node.target}\n"
    if node.kind != FILE:
        return f"{node.kind}, {_access(node)}"
    content = node.content or b""
    if len(content) > _LARGEST:
        return f"({len(content)} bytes, SHA-256 {node.digest()})\n"
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return f"(binary, {len(content)} bytes, SHA-256 {node.digest()})\n"


def _secret_texts(before: Node | None, after: Node | None) -> tuple[str, str]:
    """Show the names of keys that come, go or change; nothing at all where a file is not plain KEY=value lines."""
    old, new = env_values(before), env_values(after)
    if old is None or new is None:
        return (_HIDDEN if before else ""), (_HIDDEN.replace("hidden", "hidden, changed") if after else "")
    left = [f"{name}=(hidden)\n" for name in old if name not in new or new[name] != old[name]]
    right = [f"{name}=(hidden{', changed' if name in old else ''})\n" for name in new if old.get(name) != new[name]]
    if not left and not right:  # only comments or their order differ
        return _HIDDEN if before else "", _HIDDEN.replace("hidden", "hidden, changed") if after else ""
    return "".join(left), "".join(right)


def env_values(node: Node | None) -> dict[str, str] | None:
    """Return the keys and values of an environment file, or None for anything else."""
    values: dict[str, str] = {}
    if node is None:
        return values
    if node.kind != FILE:
        return None
    text, place = (node.content or b"").decode("utf-8", "replace"), 0
    while place < len(text):
        match = _LINE.match(text, place)
        if match is None:
            return None
        if match.group("key"):
            values[match.group("key")] = match.group("value").rstrip()
        place = match.end()
    return values


def secret_values(nodes: Iterable[Node]) -> list[str]:
    """Return what must not show up in a command's output, the longest first: values and lines of secret files."""
    found: set[str] = set()
    for node in nodes:
        if node.kind == FILE and node.secret:
            found.update((env_values(node) or {}).values())
            found.update((node.content or b"").decode("utf-8", "replace").splitlines())
    plain = {text.strip().strip("'\"") for text in found}
    return sorted((text for text in found | plain if len(text) >= _SHORTEST), key=len, reverse=True)
