"""What the role python_venv works out before it touches a host: where a version comes from, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from ansible_collections.minato.fleet.tests.lint.house import ROOT, Role

LOADER = DataLoader()
ROLE = Role(ROOT / "roles/python_venv")
CASES = LOADER.load_from_file(str(Path(__file__).parent / "python_venv_cases.yml"))
DISTRIBUTIONS = {"bookworm": "Debian", "trixie": "Debian"}


@pytest.fixture(scope="session", autouse=True)
def _collections() -> None:
    init_plugin_loader([str(ROOT / ".ansible/collections")])


def worked_out(expression: str, case: dict[str, Any]) -> Any:
    """What the role's own variables make of some input."""
    release = case.get("release", "noble")
    facts = {"distribution": DISTRIBUTIONS.get(release, "Ubuntu"), "distribution_release": release}
    variables: dict[str, Any] = {"ansible_facts": facts}
    for path in (ROLE.defaults_path, *ROLE.vars_files()):
        variables.update(LOADER.load_from_file(str(path), trusted_as_template=True))
    return Templar(loader=LOADER, variables={**variables, **case["given"]}).evaluate_expression(
        trust_as_template(expression)
    )


@pytest.mark.parametrize("case", CASES["sources"], ids=lambda case: str(case["case"]))
def test_a_version_comes_from(case: dict[str, Any]) -> None:
    assert worked_out("__python_venv_problems", case) == []
    assert worked_out("__python_venv_interpreters", case) == [
        {"version": version, "source": source}
        for source in ("package", "standalone")
        for version in case.get(source, [])
    ]
    assert worked_out("__python_venv_from_repository", case) == case.get("repository", [])
    if "url" in case:
        assert worked_out("__python_venv_apt_url", case) == case["url"]


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: str(case["says"]))
def test_it_is_refused_with_one_sentence(case: dict[str, Any]) -> None:
    (sentence,) = worked_out("__python_venv_problems", case)
    assert case["says"] in sentence


@pytest.mark.parametrize(
    ("given", "packages"),
    [
        ({"python_venv_versions": ["3.12"]}, ["python3.12", "python3.12-venv"]),
        ({"python_venv_versions": ["3.11"], "python_venv_source": "uv"}, ["python3-venv"]),
        ({"python_venv_uv": True}, ["python3-venv"]),
        (
            {"python_venv_venvs": [{"path": "/opt/a/venv", "python": "3.12", "tool": "uv", "requirements": ["/a"]}]},
            ["python3.12", "python3.12-venv", "python3-venv"],
        ),
        ({}, []),
    ],
)
def test_packages(given: dict[str, Any], packages: list[str]) -> None:
    assert worked_out("__python_venv_packages", {"given": given}) == packages
