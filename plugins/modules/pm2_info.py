#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell what PM2 runs on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pm2_info
short_description: Tell what PM2 runs on a host
version_added: 0.1.0
description:
  - Returns the PM2 daemons that M(minato.fleet.pm2) looks after, their processes, and the directories these really
    run in.
  - Changes nothing and starts no daemon.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  prefix:
    description: Directory that PM2 is installed in.
    type: path
    default: /opt/pm2
  node_bin:
    description: Directory with the C(node) that runs PM2 itself.
    type: path
    required: true
attributes:
  check_mode:
    description: It only reads.
    support: full
  diff_mode:
    description: It changes nothing, so there is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: See what runs
  minato.fleet.pm2_info:
    node_bin: /opt/node/20/bin
  register: pm2
"""

RETURN = r"""
version:
  description: Version of PM2 that is installed; empty for none.
  returned: always
  type: str
daemons:
  description: The daemons.
  returned: always
  type: list
  elements: dict
  contains:
    user:
      description: User it runs as.
      type: str
    active:
      description: Whether systemd runs it.
      type: bool
    enabled:
      description: Whether it starts at boot.
      type: bool
    version:
      description: Version of the daemon that runs; empty for none.
      type: str
    saved:
      description: Names on the saved list, one for each process that comes back after a reboot.
      type: list
      elements: str
    processes:
      description:
        - The processes, each with C(name), C(pid), C(status), C(restarts), C(started) (seconds since 1970), C(cwd) and
          C(script).
      type: list
      elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._pm2 import Process
from ansible_collections.minato.fleet.plugins.module_utils._pm2_host import FailedError, Host


def describe(process: Process) -> dict[str, Any]:
    """Return what a caller may want to know about a process; its environment is its own."""
    return {
        "name": process.name,
        "pid": process.pid,
        "status": process.status,
        "restarts": process.restarts,
        "started": process.started,
        "cwd": process.cwd,
        "script": process.fields["script"],
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "default": "/opt/pm2"},
            "node_bin": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    host = Host(module.run_command, module.params["prefix"], module.params["node_bin"])
    homes = {app["user"]: app["pm2_home"] for app in host.registry().values()}
    try:
        current = host.read(homes)
    except FailedError as error:
        module.fail_json(msg=str(error), **error.facts)
    module.exit_json(
        changed=False,
        version=current.version,
        daemons=[
            {
                "user": user,
                "active": daemon.active,
                "enabled": daemon.enabled,
                "version": daemon.version,
                "saved": [process.name for process in daemon.saved],
                "processes": [describe(process) for process in daemon.processes],
            }
            for user, daemon in sorted(current.daemons.items())
        ],
    )


if __name__ == "__main__":
    main()
