#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait until nobody is connected to a port any more."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drain
short_description: Wait until nobody is connected to a port any more
version_added: 0.1.0
description:
  - Gives connections time to end that were made before requests went elsewhere. Those that have not are named by
    their number; what ends them is the end of the process.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  ports:
    description: TCP ports of this host.
    type: list
    elements: int
    required: true
  timeout:
    description: Seconds to wait at most.
    type: float
    required: true
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    description: It does not wait.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
"""

EXAMPLES = r"""
- name: Let the old release finish what it was asked
  minato.fleet.drain:
    ports: [3000]
    timeout: 10
"""

RETURN = r"""
connections:
  description: How many there were when it stopped waiting.
  returned: success
  type: int
  sample: 0
seconds:
  description: How long it waited.
  returned: success
  type: float
  sample: 0.6
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._connections import connected

PAUSE = 0.1  # seconds between two looks


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int", "required": True},
            "timeout": {"type": "float", "required": True},
        },
        supports_check_mode=True,
    )
    ports, began = set(module.params["ports"]), time.monotonic()
    timeout = 0 if module.check_mode else module.params["timeout"]
    while True:
        count, waited = connected(ports), time.monotonic() - began
        if not count or waited >= timeout:
            module.exit_json(changed=False, connections=count, seconds=round(waited, 1))
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
