#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait until a site answers at an address, and fail with each of its answers if it does not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gate
short_description: Wait until a site answers at an address
version_added: 0.1.0
description:
  - Asks over HTTPS for a site's name at an address that need not be the one of its DNS record, and verifies the
    certificate that it shows unless told not to.
  - Fails with each of its answers if none of them is as wanted.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  name:
    description: Host name of the site.
    type: str
    required: true
  address:
    description: IP address that is asked.
    type: str
    required: true
  port:
    description: TCP port.
    type: int
    default: 443
  path:
    description: Path that is asked for.
    type: str
    required: true
  ca:
    description: Certificates, in PEM form, that the site's is held against. Empty for what this host trusts.
    type: str
    default: ""
  verify:
    description: Whether the certificate that the site shows has to be a good one.
    type: bool
    default: true
  status:
    description: Regular expression of the status that is wanted.
    type: str
    default: "200"
  tries:
    description: How often it is asked at most.
    type: int
    default: 10
  delay:
    description: Seconds between two tries.
    type: float
    default: 2
  timeout:
    description: Seconds that one answer may take.
    type: float
    default: 5
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    description: Nothing is asked, since what should answer may not have been made.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
"""

EXAMPLES = r"""
- name: Wait until the app answers on its new host
  minato.fleet.gate:
    name: api.example.com
    address: 10.0.0.2
    path: /api/social/health
    ca: "{{ fleet_own.pem }}"
"""

RETURN = r"""
answers:
  description: What each try gave.
  returned: always, except in check mode
  type: list
  elements: str
  sample: ["status 502: Bad Gateway", "status 200: {\"status\":\"ok\"}"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._gate import Question, answers, is_as_wanted
from ansible_collections.minato.fleet.plugins.module_utils._priority import behind_the_apps


def main() -> None:
    behind_the_apps()
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 443},
            "path": {"type": "str", "required": True},
            "ca": {"type": "str", "default": ""},
            "verify": {"type": "bool", "default": True},
            "status": {"type": "str", "default": "200"},
            "tries": {"type": "int", "default": 10},
            "delay": {"type": "float", "default": 2},
            "timeout": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False)
    asked = module.params
    question = Question(*(asked[key] for key in Question._fields))
    said = answers(question, asked["status"], asked["tries"], asked["delay"], asked["timeout"])
    told = [str(answer) for answer in said]
    if not is_as_wanted(said[-1], asked["status"]):
        different = list(dict.fromkeys(told))
        module.fail_json(msg=f"{question}, asked {len(said)} times, gave {'; '.join(different)}", answers=told)
    module.exit_json(changed=False, answers=told)


if __name__ == "__main__":
    main()
