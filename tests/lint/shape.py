"""What every role and every scenario has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ansible_collections.minato.fleet.tests.lint import generated
from ansible_collections.minato.fleet.tests.lint.house import Finding, load_mapping, roles

ROLE_FILES = ("README.md", "meta/main.yml", "meta/argument_specs.yml", "defaults/main.yml", "tasks/main.yml")
PLATFORMS = {"Debian": ["bookworm", "trixie"], "Ubuntu": ["jammy", "noble"]}


def roles_are_complete(root: Path) -> Iterator[Finding]:
    """A role has a README, its contract, its defaults and its tasks, and says where it runs."""
    for role in roles(root):
        for name in ROLE_FILES:
            if not (role.path / name).is_file():
                yield Finding(role.path / name, 1, "is missing; every role has one")
        meta = role.path / "meta/main.yml"
        info = load_mapping(meta).get("galaxy_info") or {}
        platforms = {platform["name"]: platform["versions"] for platform in info.get("platforms") or []}
        if platforms != PLATFORMS:
            yield Finding(meta, 1, f"platforms are {platforms}; every role runs on {PLATFORMS}")


def roles_are_driven(root: Path) -> Iterator[Finding]:
    """A role has a scenario of its name, and a scenario converges and verifies from outside."""
    for role in roles(root):
        if not (root / f"molecule/{role.name}/molecule.yml").is_file():
            yield Finding(role.path, 1, f"has no scenario; add molecule/{role.name}/")
    for path in sorted(root.glob("molecule/*/molecule.yml")):
        if not list(path.parent.glob("tests/test_*.py")):
            yield Finding(path, 1, "the scenario verifies nothing; add tests/test_*.py")


def generated_parts_are_fresh(root: Path) -> Iterator[Finding]:
    """Tables are what specs and schema say, and a role's example is what its scenario runs."""
    for path, wanted in generated.documents(root):
        if not wanted:
            begin, end = generated.markers("spec")
            yield Finding(path, 1, f"lacks {begin} … {end}, or a role's {' … '.join(generated.markers('example'))}")
        elif wanted != path.read_text(encoding="utf-8"):
            yield Finding(path, 1, "a generated part is stale; run make docs")


RULES = (roles_are_complete, roles_are_driven, generated_parts_are_fresh)
