# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app's environment held against the example in its repository. Only names leave this file, never values."""

from __future__ import annotations

import re
from typing import Iterable, NamedTuple

# A line of a dotenv file. A quoted value may run over several lines: what looks like a key inside it is none.
_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*"""
    r"""(?P<value>"(?:\\.|[^"\\])*"|'[^']*'|`[^`]*`|[^\n]*)""",
    re.MULTILINE | re.DOTALL,
)


class Comparison(NamedTuple):
    """``missing``: in the example, without a value in the environment. ``extra``: the other way round."""

    missing: list[str]
    extra: list[str]


def keys(text: str) -> dict[str, bool]:
    """The keys of a dotenv file, and whether each has a value. A line that is commented out is none."""
    return {found["key"]: _has_value(found["value"]) for found in _LINE.finditer(text)}


def _has_value(text: str) -> bool:
    value = text.strip()
    if value[:1] in ("'", '"', "`"):
        return bool(value.strip(value[0]).strip())
    return bool(value) and not value.startswith("#")


def compare(example: str, environment: str, elsewhere: Iterable[str] = ()) -> Comparison:
    """Hold the two texts against each other; ``elsewhere`` are further texts that may give what the example asks for.

    Every key of the example needs a value, whatever stands behind it there: that is an example, not a default.
    """
    asked, given = keys(example), keys(environment)
    valued = {key for text in [environment, *elsewhere] for key, has_value in keys(text).items() if has_value}
    return Comparison(sorted(set(asked) - valued), sorted(set(given) - set(asked)))
