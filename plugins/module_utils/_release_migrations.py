# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which migrations a release has, and which of them the release before it can live with."""

from __future__ import annotations

import os
import stat
from typing import Any, NamedTuple

DEFAULT = "migrations"
SAFE = "rollback-safe"
NO_MIGRATIONS = ("__pycache__", SAFE)


class MigrationsError(Exception):
    """The directory is not as it should be. The text says what to write."""


class Migrations(NamedTuple):
    """``names``: what lies in the directory, in order. ``safe``: those after which an older release still works."""

    names: list[str]
    safe: list[str]

    @property
    def unknown(self) -> list[str]:
        """Names in ``safe`` that are no migration: misspelt, or gone since."""
        return sorted(set(self.safe) - set(self.names))


def look(release: str, name: str) -> Migrations:
    """The migrations of a release that nobody but root can change any more.

    Args:
        release: Its directory.
        name: The directory of its migrations, from there; empty for none. The default one may be missing.

    Raises:
        MigrationsError: Another one is missing, or it leads out of the release.
    """
    if not name:
        return Migrations([], [])
    inside, directory = os.path.realpath(release), os.path.realpath(os.path.join(release, name))
    if not os.path.isdir(directory):
        if name == DEFAULT:
            return Migrations([], [])
        raise MigrationsError(f"migrations is {name}, which the release lacks: name another directory, or none")
    if not (directory + "/").startswith(inside + "/"):
        raise MigrationsError(f"migrations is {name}, which leads out of the release: name a directory in it")
    names = [found for found in os.listdir(directory) if not found.startswith(".") and found not in NO_MIGRATIONS]
    return Migrations(sorted(names), listed(_text(os.path.join(directory, SAFE))))


def listed(text: str) -> list[str]:
    """The names in a list, one a line, in order. What stands behind ``#`` is a comment."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return sorted({line for line in lines if line})


def facts(found: Migrations, command: str) -> dict[str, Any]:
    """What the manifest says of them. ``command``: that which migrates; empty for none."""
    return {"migrates": bool(command.strip()), "migrations": found.names, "rollback_safe": found.safe}


def _text(path: str) -> str:
    """The text of a file; none where there is no such file, or a link in its place."""
    if not os.path.lexists(path) or not stat.S_ISREG(os.lstat(path).st_mode):
        return ""
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()
