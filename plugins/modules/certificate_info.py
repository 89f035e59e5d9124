#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at all certificates of a host in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_info
short_description: Tell what the certificates of a host are, and which have to be asked for
version_added: 0.1.0
description:
  - Looks at a list of certificates in one call. Each has a directory of its own with C(fullchain.pem) and
    C(privkey.pem), or a link to such a directory.
  - Tells whether the pair can be used, its names, issuer and end, and why it has to be issued (anew), if it has to.
  - Reads with the C(openssl) command and needs no Python library. A key is only ever turned into its public half.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  certificates:
    description: The certificates to look at.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the certificate, and of its directory below O(root).
        type: str
        required: true
      domains:
        description: Names that it has to carry.
        type: list
        elements: str
        required: true
  root:
    description: Where services look for certificates.
    type: path
    required: true
  issued_root:
    description:
      - Where the ACME client keeps those that it was given.
      - The directory below O(root) of an issued one is a link to the one of the same name here.
    type: path
    required: true
attributes:
  check_mode:
    description: Changes nothing in either mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
requirements:
  - openssl
"""

EXAMPLES = r"""
- name: Look at the certificates
  minato.fleet.certificate_info:
    root: /etc/ssl/fleet
    issued_root: /etc/letsencrypt/live
    certificates:
      - name: api.medical.test
        domains: [api.medical.test]
  register: found

- name: Name those that have to be asked for
  ansible.builtin.debug:
    msg: "{{ found.certificates | rejectattr('due', 'equalto', '') | map(attribute='name') }}"
"""

RETURN = r"""
certificates:
  description: What was found, in the order of O(certificates).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the certificate.
      type: str
    usable:
      description: Whether certificate and key are there, readable, and belong together. A placeholder is usable.
      type: bool
    problem:
      description: Why it is not usable; empty if it is.
      type: str
    due:
      description: Why it has to be asked for; empty if it has not.
      type: str
      sample: issued for api.medical.test, wanted for api.medical.test, www.medical.test
    link:
      description: Where its directory links to; empty if it is no link.
      type: str
    subject:
      description: Subject.
      type: str
    issuer:
      description: Issuer.
      type: str
    self_signed:
      description: Whether it is its own issuer, as placeholders are.
      type: bool
    names:
      description: DNS names, lower case, sorted.
      type: list
      elements: str
    not_after:
      description: Its last second.
      type: str
      sample: "2026-12-31T23:59:59Z"
    key_matches:
      description: Whether the key belongs to the certificate.
      type: bool
"""

import os
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._certificates import (
    X509_ARGUMENTS,
    Certificate,
    Found,
    due,
    public_key,
    read,
    report,
)


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
                },
            },
            "root": {"type": "path", "required": True},
            "issued_root": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    openssl = module.get_bin_path("openssl", required=True)
    root, issued_root = module.params["root"], module.params["issued_root"]
    now = datetime.now(timezone.utc)
    reports = []
    for wanted in module.params["certificates"]:
        name = wanted["name"]
        found = look(module, openssl, os.path.join(root, name))
        reports.append(report(name, found, due(found, os.path.join(issued_root, name), wanted["domains"], now)))
    module.exit_json(changed=False, certificates=reports)


def look(module: AnsibleModule, openssl: str, directory: str) -> Found:
    """Look at the pair in one directory."""
    link = os.readlink(directory) if os.path.islink(directory) else ""
    chain, key = (os.path.join(directory, name) for name in ("fullchain.pem", "privkey.pem"))
    for path in (chain, key):
        if not os.path.isfile(path):
            return Found(link, None, False, f"there is no {path}")
    rc, text, error = module.run_command([openssl, "x509", "-in", chain, *X509_ARGUMENTS])
    if rc:
        return Found(link, None, False, f"{chain} is no certificate: {_first_line(error)}")
    try:
        certificate: Certificate = read(text)
    except ValueError as problem:
        return Found(link, None, False, f"{chain}: {problem}")
    rc, public, _error = module.run_command([openssl, "pkey", "-in", key, "-pubout", "-passin", "pass:"])
    if rc or public_key(public) != certificate.public_key:
        return Found(link, certificate, False, f"{key} is not the key of {chain}")
    return Found(link, certificate, True, "")


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["openssl gave no reason"])[0]


if __name__ == "__main__":
    main()
