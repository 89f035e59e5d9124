"""Every template, rendered as config_tree would and with no container: an undefined variable is a failure.

The cases of a role are data, in <role>.yml beside this file. A case starts from the role's defaults, the input that the
role's scenario gives it, and the role's private variables; it renders whatever the role's tasks hand to config_tree.

    - case: what is special about it
      facts: {distribution_release: trixie}      # ansible_facts
      variables: {nginx_ipv6: false}             # over all the others
      files:                                     # path on the host: lines that must be there, or with "not " must not
        /etc/nginx/conf.d/tls.conf: ["http2 on;", "not ssl_stapling on;"]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleUndefinedVariable
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from ansible_collections.minato.fleet.tests.lint.house import ROOT, Role, roles

HERE = Path(__file__).parent
MODULE = "minato.fleet.config_tree"


LOADER = DataLoader()


@pytest.fixture(scope="session", autouse=True)
def _collections() -> None:
    """Let filters be found; not before the tests run, as from then on Ansible imports collections its own way."""
    init_plugin_loader([str(ROOT / ".ansible/collections")])
    # This collection was imported before, as plain Python: without what Ansible's own import knows about it.
    vars(sys.modules["ansible_collections.minato.fleet"])["_collection_meta"] = {}
    sys.modules.pop("ansible_collections.minato.fleet.plugins.filter", None)


def _load(path: Path) -> Any:
    return LOADER.load_from_file(str(path), trusted_as_template=True) if path.is_file() else None


def _cases() -> list[Any]:
    return [
        pytest.param(role, case, id=f"{role.name}: {case['case']}")
        for role in roles(ROOT)
        for case in _load(HERE / f"{role.name}.yml") or []
    ]


def _tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Every task of a task list, those in blocks included."""
    for task in node or []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from _tasks(task.get(part))


def _scenario_input(role: Role) -> dict[str, Any]:
    """What the role's own scenario sets when it calls the role."""
    folder = ROOT / "molecule" / role.name
    found: dict[str, Any] = {}
    for play in _load(folder / "converge.yml") or []:
        for name in play.get("vars_files") or []:
            found.update(_load(folder / name))
        found.update(play.get("vars") or {})
        for call in play.get("roles") or []:
            if call["role"] == f"minato.fleet.{role.name}":
                found.update(call.get("vars") or {})
        for task in _tasks(play.get("tasks")):
            call = task.get("ansible.builtin.import_role") or {}
            if call.get("name") == f"minato.fleet.{role.name}":
                found.update(task.get("vars") or {})
    return found


def _variables(role: Role, case: dict[str, Any]) -> dict[str, Any]:
    return {
        **(_load(role.defaults_path) or {}),
        **_scenario_input(role),
        **{name: value for path in role.vars_files() for name, value in (_load(path) or {}).items()},
        "ansible_facts": case.get("facts") or {},
        "ansible_check_mode": False,
        **(case.get("variables") or {}),
    }


def _files(role: Role, variables: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The files of every set that the role's tasks hand to config_tree."""
    for path in role.task_files():
        for task in _tasks(_load(path)):
            if MODULE in task:
                templar = Templar(loader=LOADER, variables={**variables, **(task.get("vars") or {})})
                yield from templar.template(task[MODULE].get("files") or [])


def _render(path: Path, variables: dict[str, Any]) -> str:
    templar = Templar(loader=LOADER, variables=variables)
    source = trust_as_template(path.read_text(encoding="utf-8"))
    return str(templar.template(source, escape_backslashes=False, overrides={"trim_blocks": True}))


@pytest.mark.parametrize(("role", "case"), _cases())
def test_it_renders(role: Role, case: dict[str, Any]) -> None:
    variables = _variables(role, case)
    rendered = {
        file["path"]: _render(role.path / "templates" / file["template"], {**variables, **(file.get("vars") or {})})
        for file in _files(role, variables)
        if "template" in file
    }
    for path, wanted in (case.get("files") or {}).items():
        lines = {line.strip() for line in rendered[path].splitlines()}
        for line in wanted:
            present = line.removeprefix("not ") in lines
            assert present != line.startswith("not "), f"{path}: {line!r} in\n{rendered[path]}"


@pytest.mark.parametrize("role", roles(ROOT), ids=lambda role: role.name)
def test_no_template_is_without_a_case(role: Role) -> None:
    rendered = set()
    for case in _load(HERE / f"{role.name}.yml") or []:
        rendered |= {file.get("template") for file in _files(role, _variables(role, case))}
    missing = [path for path in role.templates() if str(path.relative_to(role.path / "templates")) not in rendered]
    names = [str(path.relative_to(ROOT)) for path in missing]
    assert not names, (
        f"add a case to tests/templates/{role.name}.yml that has the role's tasks render {', '.join(names)}"
    )


def test_an_undefined_variable_is_a_failure(tmp_path: Path) -> None:
    template = tmp_path / "a.j2"
    template.write_text("{{ site.nmae }}\n", encoding="utf-8")
    with pytest.raises(AnsibleUndefinedVariable):
        _render(template, {"site": {"name": "app.test"}})
