"""A file's place says what it may know: the layer table of docs/architecture.md."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import jinja2
from ansible_collections.minato.fleet.tests.lint.house import (
    Finding,
    Role,
    load,
    load_mapping,
    matches,
    plugins,
    roles,
    strings,
    tasks,
    text,
)
from jinja2 import nodes

COLLECTION = "ansible_collections.minato.fleet.plugins."
FLEET_KNOWLEDGE = {"hostvars", "groups", "group_names"}
# Their values are expressions without braces.
CONDITIONS = {"when", "that", "until", "changed_when", "failed_when"}
# What wires, asks or refuses. Whatever changes a host is a role's business.
PLAYBOOK_MODULES = {
    "ansible.builtin.assert",
    "ansible.builtin.debug",
    "ansible.builtin.fail",
    "ansible.builtin.group_by",
    "ansible.builtin.import_playbook",
    "ansible.builtin.import_role",
    "ansible.builtin.import_tasks",
    "ansible.builtin.include_role",
    "ansible.builtin.include_tasks",
    "ansible.builtin.meta",
    "ansible.builtin.set_fact",
    "ansible.builtin.wait_for_connection",
    "minato.fleet.facts",
}
# Modules a hurried hand writes without their collection.
SHORT_NAMES = {"command", "copy", "file", "lineinfile", "raw", "script", "shell", "template"}
IMPURE = {
    *("asyncio", "ftplib", "glob", "http", "io", "os", "pathlib", "requests", "shutil", "smtplib", "socket", "sqlite3"),
    *("ssl", "subprocess", "tempfile", "urllib"),
}
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "__import__"}


def _names(source: str) -> set[tuple[int, str]]:
    """Line and name of each variable that a template reads; none if it does not parse, which rendering it reports."""
    try:
        tree = jinja2.Environment(autoescape=True).parse(source)
    except jinja2.TemplateSyntaxError:
        return set()
    return {(node.lineno, node.name) for node in tree.find_all(nodes.Name) if node.ctx == "load"}


def _role_names(role: Role) -> Iterator[tuple[Path, int, str]]:
    """Every variable that the role's templates and YAML files read."""
    for path in role.templates():
        for line, name in sorted(_names(text(path))):
            yield path, line, name
    for path in [*role.task_files(), role.defaults_path, *role.vars_files()]:
        for key, value, line in strings(load(path)):
            bare = key in CONDITIONS and "{{" not in value
            for _line, name in sorted(_names(f"{{{{ {value} }}}}" if bare else value)):
                yield path, line, name


def roles_know_only_themselves(root: Path) -> Iterator[Finding]:
    """A role reads its own <role>_* and __<role>_* variables and facts, nothing of the fleet or of other roles."""
    known = sorted((role.name for role in roles(root)), key=len, reverse=True)
    for role in roles(root):
        for path, line, name in _role_names(role):
            owner = next((other for other in known if name.lstrip("_").startswith(other + "_")), role.name)
            if name.startswith("fleet_") or name in FLEET_KNOWLEDGE:
                yield Finding(
                    path, line, f"a role does not know {name}; let the playbook pass it in as {role.name}_..."
                )
            elif owner != role.name:
                yield Finding(
                    path, line, f"{name} belongs to the role {owner}; let the playbook pass the value to both"
                )


def roles_leave_other_roles_alone(root: Path) -> Iterator[Finding]:
    """A role includes no role, depends on none and reaches into no other role's directory."""
    for role in roles(root):
        for path in role.task_files():
            for task in tasks(load(path)):
                for name in ("import_role", "include_role"):
                    if f"ansible.builtin.{name}" in task:
                        yield Finding(path, task.line, f"{name} in a role; a playbook puts the two roles in order")
        if load_mapping(role.path / "meta/main.yml").get("dependencies"):
            yield Finding(role.path / "meta/main.yml", 1, "a role depends on none; a playbook puts them in order")
        files = [path for path in role.path.rglob("*") if path.is_file() and path.suffix != ".md"]
        for path, line, found in matches(files, re.compile(r"\.\./\.\.|\broles/\w+/|role_path\s*}}/\.\.")):
            yield Finding(path, line, f"{found!r} leads out of the role; what it needs lies in it")


def playbooks_only_wire(root: Path) -> Iterator[Finding]:
    """A playbook calls roles with their input. It changes nothing itself and holds no template program."""
    for path in sorted(root.glob("playbooks/**/*")):
        if path.suffix == ".j2" or path.parent.name in ("templates", "files"):
            yield Finding(path, 1, "playbooks have no templates or files; a role has")
        if path.suffix != ".yml":
            continue
        document = load(path)
        for task in tasks(document):
            for module in sorted(name for name in task if "." in name or name in SHORT_NAMES):
                if module not in PLAYBOOK_MODULES and not module.startswith("minato.fleet."):
                    yield Finding(path, task.line, f"{module} in a playbook; a role does such work, a playbook wires")
        for _key, value, line in strings(document):
            if "{%" in value:
                yield Finding(path, line, "a Jinja statement in a playbook; a filter in plugins/filter/ does such work")


def inventories_know_no_internals(root: Path) -> Iterator[Finding]:
    """An inventory holds fleet_* data; a role's private variables are the role's own."""
    paths = [path for path in sorted(root.glob("inventories/**/*")) if path.is_file()]
    for path, line, name in matches(paths, re.compile(r"\b__[a-z]\w+")):
        yield Finding(
            path, line, f"{name} is private to its role; give the role a public variable and let a playbook set it"
        )


def _imports(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of each import; the name is empty for `import module`."""
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, module, alias.name) for alias in node.names)


def filters_and_lookups_are_pure(root: Path) -> Iterator[Finding]:
    """Plain data in, plain data out."""
    for path in plugins(root, "filter", "lookup", "test"):
        for line, module, _name in _imports(path):
            if module.split(".")[0] in IMPURE:
                yield Finding(path, line, f"imports {module}; a filter gets plain data and returns plain data")
            elif module.startswith(("ansible.constants", "ansible.inventory", "ansible.vars", "ansible.executor")):
                yield Finding(path, line, f"imports {module}; a filter does not know Ansible's state")
        for node in ast.walk(ast.parse(text(path))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
                yield Finding(path, node.lineno, f"calls {node.func.id}(); a filter does no input or output")


def modules_import_module_utils_only(root: Path) -> Iterator[Finding]:
    """What runs on a host imports Python, Ansible's module API and module_utils: nothing else is sent there."""
    allowed = (
        "ansible.module_utils.",
        COLLECTION + "module_utils.",
        "ansible_collections.community.postgresql.plugins.module_utils.",
    )
    for path in plugins(root, "modules", "module_utils"):
        # Libraries that a host may lack are imported in a function or a try, where their absence can be told.
        at_import = {node.lineno for node in ast.parse(text(path)).body}
        for line, module, _name in _imports(path):
            top = module.split(".")[0]
            if (module + ".").startswith(allowed) or top in sys.stdlib_module_names:
                continue
            if top in ("ansible", "ansible_collections", ""):
                yield Finding(
                    path, line, f"imports {module}, which is not sent to a host; move what is needed to module_utils"
                )
            elif line in at_import:
                yield Finding(
                    path, line, f"imports {module}, which a host may lack; import it in a try and say what is missing"
                )


def privates_stay_private(root: Path) -> Iterator[Finding]:
    """No plugin imports or reaches for a name of another file that starts with an underscore."""
    for path in plugins(root, "*"):
        files = set()
        for line, module, name in _imports(path):
            if "module_utils" not in module and not module.startswith((COLLECTION, ".")):
                continue
            # A leading underscore on the file itself says "this collection's own", which we are.
            if (root / "plugins" / module.rsplit(".", 1)[-1] / f"{name}.py").is_file():
                files.add(name)
            elif name.startswith("_"):
                yield Finding(path, line, f"imports {name}, private to {module}; rename it there if others need it")
        for node in ast.walk(ast.parse(text(path))):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            if node.value.id in files and node.attr.startswith("_"):
                name = f"{node.value.id}.{node.attr}"
                yield Finding(
                    path, node.lineno, f"uses {name}, private to that file; rename it there if others need it"
                )


RULES = (
    roles_know_only_themselves,
    roles_leave_other_roles_alone,
    playbooks_only_wire,
    inventories_know_no_internals,
    filters_and_lookups_are_pure,
    modules_import_module_utils_only,
    privates_stay_private,
)
