# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The versions of Python that a host has, each at one place whatever it came from. Nothing here touches anything.

A version that came as a package has a directory with one link in it, ``bin/python3``, to /usr/bin. A standalone build,
which finds its library from where it lies, is linked as a whole: ``3.11 -> .builds/cpython-3.11.9-linux-x86_64-gnu``.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.minato.fleet.plugins.module_utils._python_venv import Difference, RefusedError

BUILDS = ".builds"  # below the directory of the versions
ABSENT, PACKAGE, STANDALONE, OTHER = "absent", "package", "standalone", "other"

_SPEC = re.compile(r"^3\.[0-9]{1,2}(\.[0-9]+)?$")
_BUILD = re.compile(r"^cpython-(?P<version>[0-9]+\.[0-9]+\.[0-9]+)(?:\+[a-z]+)?-linux-")


class Slot(NamedTuple):
    """What is at a version's place: ``kind``, and where its link leads (/usr/bin/python3.11, the name of a build)."""

    kind: str = ABSENT
    target: str = ""

    def __str__(self) -> str:
        return self.target


class Wanted(NamedTuple):
    """A version that is asked for: ``3.11``, or ``3.11.9`` of a standalone build."""

    spec: str
    kind: str

    @property
    def version(self) -> str:
        """The first two numbers."""
        return ".".join(self.spec.split(".")[:2])


class Step(NamedTuple):
    """One thing to do: ``uv`` (install it), ``link`` (a package's version) or ``build`` (fetch a standalone one)."""

    action: str
    spec: str
    why: Difference

    def __str__(self) -> str:
        return str(self.why)


def package_binary(version: str) -> str:
    """Where Debian's packages, and those in their manner, have a version."""
    return f"/usr/bin/python{version}"


def wanted_of(interpreters: Sequence[Mapping[str, Any]]) -> list[Wanted]:
    """Check the module's interpreters; raises RefusedError."""
    found: dict[str, Wanted] = {}
    for each in interpreters:
        one = Wanted(each["version"], each["source"])
        if not _SPEC.match(one.spec):
            raise RefusedError(f"Python version {one.spec!r}: write the first two numbers, such as 3.11")
        if one.kind == PACKAGE and one.spec != one.version:
            raise RefusedError(
                f"Python {one.spec}: a package has the release that its repository has: write {one.version},"
                " or take a standalone build"
            )
        if one.version in found and found[one.version] != one:
            raise RefusedError(
                f"Python {found[one.version].spec} ({found[one.version].kind}) and {one.spec} ({one.kind}) have one"
                " place: keep one of them"
            )
        found[one.version] = one
    return list(found.values())


def build_version(name: str) -> str:
    """The exact version of a standalone build by the name of its directory, empty for what is none."""
    found = _BUILD.match(name)
    return found["version"] if found else ""


def satisfies(slot: Slot, one: Wanted) -> bool:
    """Whether what is there is what is asked for. A version of two numbers is any release of it."""
    if one.kind == PACKAGE:
        return slot == Slot(PACKAGE, package_binary(one.version))
    exact = build_version(slot.target)
    return slot.kind == STANDALONE and (exact == one.spec or exact.startswith(one.spec + "."))


def newest(names: Sequence[str], spec: str) -> str:
    """The newest of the builds of a version, empty for none."""
    fitting = [name for name in names if satisfies(Slot(STANDALONE, name), Wanted(spec, STANDALONE))]
    return max(fitting, key=lambda name: [int(part) for part in build_version(name).split(".")], default="")


def plan(current: Mapping[str, Slot], wanted: Sequence[Wanted], uv: str, uv_wanted: str, directory: str) -> list[Step]:
    """Return what is to be done, in order. Raises RefusedError where a version's place holds what is not ours.

    ``uv``: the version that is there; ``uv_wanted``: empty where nobody needs it.
    """
    steps = []
    if uv_wanted and uv != uv_wanted:
        steps.append(Step("uv", uv_wanted, Difference("uv", uv, uv_wanted)))
    for one in wanted:
        slot = current.get(one.version, Slot())
        place = f"{directory}/{one.version}"
        if slot.kind == OTHER:
            raise RefusedError(f"{place} is there, with {slot.target} in it, which is not this role's: move it away")
        if satisfies(slot, one):
            continue
        after = package_binary(one.version) if one.kind == PACKAGE else f"standalone {one.spec}"
        steps.append(Step("link" if one.kind == PACKAGE else "build", one.spec, Difference(place, slot.target, after)))
    return steps
