#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the certificates that a host has signed itself, for another host to hold it against them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: own_certificates
short_description: Read the certificates that a host has signed itself
version_added: 0.1.0
description:
  - Gives those of a host's certificates that it signed itself. One that an authority issued needs no other proof.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  names:
    description: Names of the certificates, and of their directories below O(root).
    type: list
    elements: str
    required: true
  root:
    description: Where services look for certificates.
    type: path
    default: /etc/ssl/fleet
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    description: A certificate that is not there is left out, since it may not have been made.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
requirements:
  - openssl
"""

EXAMPLES = r"""
- name: Read what the other host shows for a name
  minato.fleet.own_certificates:
    names: [api.example.com]
  delegate_to: systems-2
  register: fleet_own
"""

RETURN = r"""
pem:
  description: The certificates, in PEM form, one after the other.
  returned: success
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._certificates import X509_ARGUMENTS, read


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "root": {"type": "path", "default": "/etc/ssl/fleet"},
        },
        supports_check_mode=True,
    )
    paths = [os.path.join(module.params["root"], name, "fullchain.pem") for name in module.params["names"]]
    module.exit_json(changed=False, pem="".join(own(module, path) for path in paths))


def own(module: AnsibleModule, path: str) -> str:
    """One certificate as PEM text; empty if an authority issued it."""
    if not os.path.isfile(path):
        if module.check_mode:
            return ""
        module.fail_json(msg=f"There is no {path}. Run the web part of site.yml for this host first.")
    openssl = module.get_bin_path("openssl", required=True)
    rc, text, error = module.run_command([openssl, "x509", "-in", path, *X509_ARGUMENTS])
    if rc:
        module.fail_json(msg=f"{path} is no certificate: {error.strip()}")
    if not read(text).self_signed:
        return ""
    with open(path) as stream:
        return stream.read().rstrip() + "\n"


if __name__ == "__main__":
    main()
