#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prove a host's ACME challenges to itself before a certificate authority is asked."""

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_preflight
short_description: Prove that ACME HTTP-01 challenges of this host can be seen under each name
version_added: 0.1.0
description:
  - Puts a file with a random name where an ACME client puts its challenges and fetches it through every name, as the
    certificate authority will.
  - Fails with what is wrong for each name and what to do about it. Authorities allow few failed attempts (Let's Encrypt
    five an hour for each name); this costs none.
  - Looks from the host itself. It cannot tell what only others see, such as a firewall in front of it.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  names:
    description: The names to try.
    type: list
    elements: str
    required: true
  webroot:
    description: The directory given to the ACME client. Made if it is missing.
    type: path
    required: true
attributes:
  check_mode:
    description: Does nothing in check mode, when the web server that it would ask may not be there yet.
    support: full
  diff_mode:
    description: Leaves nothing behind, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: See whether the names lead here
  minato.fleet.acme_preflight:
    names: [api.medical.test]
    webroot: /var/www/acme
"""

RETURN = r"""
obstacles:
  description: One sentence for each name that cannot be proven.
  returned: failure
  type: list
  elements: str
"""

import os
import secrets

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._acme_preflight import PATH, obstacle


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "webroot": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False)
    webroot = module.params["webroot"]
    obstacles = [sentence for sentence in tried(module.params["names"], webroot) if sentence]
    if obstacles:
        module.fail_json(msg="The certificate authority was not asked. " + " ".join(obstacles), obstacles=obstacles)
    module.exit_json(changed=False)


def tried(names: list[str], webroot: str) -> list[str]:
    """Return the obstacle for each name, with the challenge in place while they are tried."""
    token = "preflight-" + secrets.token_hex(16)
    directory = webroot.rstrip("/") + PATH
    for parent in (webroot, os.path.dirname(directory.rstrip("/")), directory):
        if not os.path.isdir(parent):
            os.makedirs(parent)
            os.chmod(parent, 0o755)
    challenge = os.path.join(directory, token)
    try:
        with open(challenge, "w") as stream:
            stream.write(token)
        os.chmod(challenge, 0o644)
        return [obstacle(name, token, webroot) for name in names]
    finally:
        if os.path.exists(challenge):
            os.unlink(challenge)


if __name__ == "__main__":
    main()
