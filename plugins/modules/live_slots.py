#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say which slot of each app serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: live_slots
short_description: Say which slot of each app serves
version_added: 0.1.0
description:
  - Reads where C(<home>/current) of each app leads. No repository is asked, unlike by M(minato.fleet.release_info).
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  homes:
    description: The apps' own directories, by their names.
    type: dict
    required: true
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
seealso:
  - module: minato.fleet.release_info
"""

EXAMPLES = r"""
- name: Ask the host which slot of each app serves
  minato.fleet.live_slots:
    homes:
      medical-api: /opt/medical-api
  register: found
"""

RETURN = r"""
slots:
  description: The slot that serves, by the app's name; null for an app that was never deployed.
  returned: success
  type: dict
  sample: {medical-api: b}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._priority import behind_the_apps
from ansible_collections.minato.fleet.plugins.module_utils._release_slots import Slots


def main() -> None:
    behind_the_apps()
    module = AnsibleModule(argument_spec={"homes": {"type": "dict", "required": True}}, supports_check_mode=True)
    homes = module.params["homes"]
    module.exit_json(changed=False, slots={name: Slots(home, "").live() for name, home in homes.items()})


if __name__ == "__main__":
    main()
