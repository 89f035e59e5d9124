#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have clients shown the certificates that are on disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_served
short_description: Have clients shown the certificates that are on disk
version_added: 0.1.0
description:
  - Looks at what a client of this host is shown under each name, over IPv4 and IPv6, and compares it with the file.
  - Where it is another one, as after a renewal that the server was not told of, the server is reloaded. The run fails
    if another one is shown even then, with what it is and where.
  - Where nothing answers to a name, nothing is wrong; a service may not be there yet.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  certificates:
    description: The certificates that this host serves.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the certificate, and of its directory below O(root).
        type: str
        required: true
      domains:
        description: Names that clients use.
        type: list
        elements: str
        required: true
      port:
        description: TCP port where it is served, 0 for nowhere.
        type: int
        default: 443
      reload:
        description: Command that makes its server read it again. It runs in a shell.
        type: str
        default: ""
  root:
    description: Where services look for certificates.
    type: path
    required: true
  patience:
    description: How long a server that was reloaded just now may still show the old one, in seconds.
    type: int
    default: 2
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    description: A reload has no difference to show.
    support: none
requirements:
  - openssl
"""

EXAMPLES = r"""
- name: See that clients are shown the new certificate
  minato.fleet.certificate_served:
    root: /etc/ssl/fleet
    certificates:
      - name: api.medical.test
        domains: [api.medical.test]
        reload: systemctl reload nginx
"""

RETURN = r"""
reloaded:
  description: The commands that were run, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [systemctl reload nginx]
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._served_certificate import (
    Served,
    Shown,
    leaf,
    others,
    still_others,
)

AFTER_RELOAD = 5


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "certificates": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "domains": {"type": "list", "elements": "str", "required": True},
                    "port": {"type": "int", "default": 443},
                    "reload": {"type": "str", "default": ""},
                },
            },
            "root": {"type": "path", "required": True},
            "patience": {"type": "int", "default": 2},
        },
        supports_check_mode=True,
    )
    stale = [
        (wanted, chain, wrong)
        for wanted in module.params["certificates"]
        for chain in [on_disk(module, wanted["name"])]
        for wrong in [compared(wanted, chain, 0 if module.check_mode else module.params["patience"])]
        if wrong
    ]
    commands = sorted({wanted["reload"] for wanted, _chain, _wrong in stale if wanted["reload"]})
    if not module.check_mode:
        for command in commands:
            module.run_command(command, use_unsafe_shell=True, check_rc=True)
        sentences = [
            sentence
            for wanted, chain, wrong in stale
            for sentence in remaining(module, wanted, still_others(wrong, leaf(chain), AFTER_RELOAD))
        ]
        if sentences:
            module.fail_json(msg=" ".join(sentences))
    module.exit_json(changed=bool(commands), reloaded=commands)


def on_disk(module: AnsibleModule, name: str) -> str:
    """Return the chain that should be served, empty where there is none."""
    path = os.path.join(module.params["root"], name, "fullchain.pem")
    if not os.path.isfile(path):
        return ""
    with open(path) as stream:
        return stream.read()


def compared(wanted: dict[str, Any], chain: str, patience: int) -> list[Shown]:
    """Return where another certificate is shown, and goes on being shown."""
    wrong = others(Served(wanted["domains"], wanted["port"], chain)) if chain else []
    return still_others(wrong, leaf(chain), patience) if wrong else []


def remaining(module: AnsibleModule, wanted: dict[str, Any], wrong: list[Shown]) -> list[str]:
    """Say for each place what is shown there in spite of the reload."""
    chain = os.path.join(module.params["root"], wanted["name"], "fullchain.pem")
    tried = f"after `{wanted['reload']}`" if wanted["reload"] else "and no command is given that reloads its server"
    return [
        f"Clients of {one} are shown {described(module, one.certificate)} and not {chain}, {tried}. "
        f"Let that server read {chain}, correct the reload command, or set the certificate's port to its server's."
        for one in wrong
    ]


def described(module: AnsibleModule, certificate: bytes | None) -> str:
    """Name a certificate as a person would look for it."""
    if certificate is None:
        return "nothing any more"
    command = ["openssl", "x509", "-inform", "DER", "-noout", "-subject", "-issuer", "-enddate", "-nameopt", "RFC2253"]
    rc, text, _error = module.run_command(command, data=certificate, binary_data=True)
    return f"another certificate ({', '.join(text.strip().splitlines())})" if not rc else "another certificate"


if __name__ == "__main__":
    main()
