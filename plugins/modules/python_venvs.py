#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a host's versions of Python and its virtual environments."""

from __future__ import annotations

DOCUMENTATION = r"""
module: python_venvs
short_description: Keep a host's versions of Python and its virtual environments
version_added: 0.1.0
description:
  - Has every version of Python at C(<directory>/<version>/bin/python3), whether a package brought it or C(uv) fetched a
    standalone build, and builds the virtual environments that differ from what they are asked to be.
  - A virtual environment is built anew, as its owner, in a directory of its own beside the one in service
    (C(.venv-0002)), and a link (C(venv)) is then switched by one rename. What fails is removed; the old one stays in
    service. The one before stays on the disk for processes that still run from it.
  - It is built when one of its inputs has changed. These are the release and the place of its Python, the content of
    the requirements files with all that they include, or of C(pyproject.toml) and its lock, the files in
    O(venvs[].wheels), and the options. They are recorded in it, in C(minato-inputs.json).
  - Versions and virtual environments that are not listed are left alone, because a process may still run from them.
author:
  - The minato.fleet maintainers (@minato-fleet)
requirements:
  - setpriv (util-linux)
  - the package C(python3-venv) where uv is installed
options:
  directory:
    description: Where the versions live.
    type: path
    default: /opt/python
  interpreters:
    description: The versions to have, one of each two first numbers.
    type: list
    elements: dict
    default: []
    suboptions:
      version:
        description:
          - The first two numbers, as V(3.11). The newest release that the source has is taken, and stays.
          - Of a standalone build the exact version (V(3.11.9)) may be asked for, which moves the host to it.
        type: str
        required: true
      source:
        description:
          - V(package) links C(/usr/bin/python3.11), which has to be installed.
          - V(standalone) has C(uv) fetch a build.
        type: str
        choices: [package, standalone]
        default: package
  uv:
    description: Whether uv is installed although neither O(interpreters) nor O(venvs) need it.
    type: bool
    default: false
  uv_version:
    description: Version of uv, in full. It comes from PyPI.
    type: str
    required: true
  uv_directory:
    description: Where uv is installed; it is C(bin/uv) in it.
    type: path
    default: /opt/uv
  uv_mirror:
    description: Address of the standalone builds in place of uv's own (C(UV_PYTHON_INSTALL_MIRROR)).
    type: str
    default: ""
  uv_downloads:
    description: Address or file of a list of builds in place of uv's own (C(UV_PYTHON_DOWNLOADS_JSON_URL)).
    type: str
    default: ""
  environment:
    description:
      - Environment of pip and uv, such as C(PIP_INDEX_URL) or C(HTTPS_PROXY). They get no other one.
      - Passwords in addresses, and values whose name sounds like a secret, are shown nowhere.
    type: dict
    default: {}
  venvs:
    description: The virtual environments to have.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is, as a link to the newest build beside it.
        type: path
        required: true
      python:
        description: Version of its Python, the first two numbers.
        type: str
        required: true
      owner:
        description: User that builds and owns it.
        type: str
        default: root
      group:
        description: Group that it belongs to. The owner's own where it is left out.
        type: str
        default: ""
      requirements:
        description: Requirements files on the host, to be readable by the owner. Not together with O(venvs[].project).
        type: list
        elements: path
        default: []
      require_hashes:
        description: Refuse requirements that are not pinned by version and hash. Hashes that are there always count.
        type: bool
        default: false
      project:
        description:
          - Directory with C(pyproject.toml) and C(uv.lock), or C(pylock.toml). Needs O(venvs[].tool=uv).
          - A lock that does not fit the project any more is refused.
        type: path
        default: ""
      tool:
        description: What installs.
        type: str
        choices: [pip, uv]
        default: pip
      wheels:
        description: Directory of wheels on the host. Nothing else is asked then, no index either.
        type: path
        default: ""
      only_binary:
        description: Take wheels alone, so that nothing is compiled on the host.
        type: bool
        default: false
      environment:
        description: Further environment of pip and uv, over that of all.
        type: dict
        default: {}
attributes:
  check_mode:
    description: Says what would be built, and why, also on a host that has no Python of that version yet.
    support: full
  diff_mode:
    description: Shows the inputs that differ.
    support: full
"""

EXAMPLES = r"""
- name: Keep the virtual environment of an app
  minato.fleet.python_venvs:
    uv_version: 0.13.8
    interpreters:
      - {version: "3.11"}
    venvs:
      - path: /opt/morizo/venv
        python: "3.11"
        owner: morizo
        requirements: [/opt/morizo/requirements.txt]
        require_hashes: true
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, one line each.
  returned: always
  type: list
  elements: str
  sample: ["/opt/python/3.11: absent -> /usr/bin/python3.11", "/opt/morizo/venv: virtual environment: absent -> built"]
pythons:
  description: The release and the place of each version that was asked for; empty where there is none yet.
  returned: always
  type: dict
  sample: {"3.11": "3.11.2 (/usr/bin/python3.11)"}
"""

import os
from typing import Any, Mapping, Sequence

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._python_venv import (
    Difference,
    RefusedError,
    check,
    compare,
    python_path,
    secrets,
)
from ansible_collections.minato.fleet.plugins.module_utils._python_venv_host import FailedError, Host
from ansible_collections.minato.fleet.plugins.module_utils._python_venv_interpreters import (
    PACKAGE,
    Slot,
    Step,
    package_binary,
    plan,
    wanted_of,
)

VENV = {
    "path": {"type": "path", "required": True},
    "python": {"type": "str", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": ""},
    "requirements": {"type": "list", "elements": "path", "default": []},
    "require_hashes": {"type": "bool", "default": False},
    "project": {"type": "path", "default": ""},
    "tool": {"type": "str", "choices": ["pip", "uv"], "default": "pip"},
    "wheels": {"type": "path", "default": ""},
    "only_binary": {"type": "bool", "default": False},
    "environment": {"type": "dict", "default": {}},
}
INTERPRETER = {
    "version": {"type": "str", "required": True},
    "source": {"type": "str", "choices": ["package", "standalone"], "default": "package"},
}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Plan, carry the plan out unless in check mode, and return the module's result."""
    params = module.params
    wanted, venvs = wanted_of(params["interpreters"]), params["venvs"]
    check(venvs)
    host = Host(params["directory"], params["uv_directory"], params["environment"])
    for venv in venvs:
        account = host.account(venv["owner"], module.check_mode)
        host.group(venv["group"], account, module.check_mode)
        host.check_place(venv["path"])
    needs_uv = params["uv"] or any(each["tool"] == "uv" for each in venvs) or any(one.kind != PACKAGE for one in wanted)
    steps = plan(
        {one.version: host.slot(one.version) for one in wanted},
        wanted,
        host.uv_version(),
        params["uv_version"] if needs_uv else "",
        params["directory"],
    )
    kinds = {one.version: Slot(one.kind, package_binary(one.version) if one.kind == PACKAGE else "") for one in wanted}
    due = {step.spec for step in steps if step.action != "uv"}
    pythons = {}
    for version in sorted({*kinds, *(venv["python"] for venv in venvs)}):
        coming = any(spec == version or spec.startswith(version + ".") for spec in due)
        pythons[version] = "" if coming else host.exact_version(version, kinds.get(version, Slot()))
        if not pythons[version] and not coming and not module.check_mode:
            raise RefusedError(
                f"there is no {python_path(version, params['directory'])} on this host: ask for Python {version} first"
            )
    # What the files lack is told before the first step.
    inputs = {
        venv["path"]: host.inputs(venv, pythons[venv["python"]]) for venv in venvs if files(venv, module.check_mode)
    }
    if not module.check_mode:
        for step in steps:
            host.take(step, params["uv_mirror"], params["uv_downloads"])
        for version in [version for version, found in pythons.items() if not found]:
            pythons[version] = host.exact_version(version, Slot())
    differences: list[tuple[str, Difference]] = []
    for venv in venvs:
        wants = {
            **inputs.get(venv["path"], {}),
            "python": pythons[venv["python"]] or f"{venv['python']}, to be installed",
        }
        found = compare(host.record(venv["path"]), wants)
        differences += [(venv["path"], each) for each in found]
        if found and not module.check_mode:
            host.build(venv, wants)
    return {
        "changed": bool(steps or differences),
        "steps": [*map(str, steps), *(f"{path}: {each}" for path, each in differences)],
        "pythons": pythons,
        "diff": diff(steps, differences),
    }


def files(venv: Mapping[str, Any], check_mode: bool) -> bool:
    """Whether the files of a virtual environment can be read: in check mode they may be still to come."""
    asked = [
        *venv["requirements"],
        *([venv["project"]] if venv["project"] else []),
        *([venv["wheels"]] if venv["wheels"] else []),
    ]
    return not check_mode or all(os.path.exists(path) for path in asked)


def diff(steps: Sequence[Step], differences: Sequence[tuple[str, Difference]]) -> dict[str, str]:
    """Return before and after as Ansible's `--diff` prints them."""
    lines = [("", step.why) for step in steps] + [(f"{path}: ", each) for path, each in differences]
    return {
        "before": "".join(f"{head}{each.what}: {each.before}\n" for head, each in lines if each.before),
        "after": "".join(f"{head}{each.what}: {each.after}\n" for head, each in lines if each.after),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": "/opt/python"},
            "interpreters": {"type": "list", "elements": "dict", "default": [], "options": INTERPRETER},
            "uv": {"type": "bool", "default": False},
            "uv_version": {"type": "str", "required": True},
            "uv_directory": {"type": "path", "default": "/opt/uv"},
            "uv_mirror": {"type": "str", "default": ""},
            "uv_downloads": {"type": "str", "default": ""},
            # Without no_log the host's journal has them before anything here can hide their secrets.
            "environment": {"type": "dict", "default": {}, "no_log": True},
            "venvs": {"type": "list", "elements": "dict", "default": [], "options": VENV, "no_log": True},
        },
        supports_check_mode=True,
    )
    # Of these two, the secrets: with all of their values gone, no message could be read.
    module.no_log_values.clear()
    addresses = {key: module.params[key] for key in ("uv_mirror", "uv_downloads")}
    for environment in [
        addresses,
        module.params["environment"],
        *(venv["environment"] for venv in module.params["venvs"]),
    ]:
        module.no_log_values.update(secrets(environment))
    os.umask(0o022)
    try:
        module.exit_json(**run(module))
    except (RefusedError, FailedError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
