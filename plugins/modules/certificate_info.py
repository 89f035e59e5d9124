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
  - Tells which private keys have another group or mode than wanted, and where a client is shown another certificate
    than the one on disk, as after a renewal that the server was not told of.
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
      challenge:
        description: Which of O(methods) certbot has to renew it by. It is issued anew where another is noted down.
        type: str
        default: ""
      key_group:
        description: Group that may read its private key. Empty for root alone.
        type: str
        default: ""
      port:
        description:
          - TCP port where this host serves it. It is looked at under each name over IPv4 and IPv6; where nothing
            answers to a name, nothing is said.
          - 0 for a certificate that is not looked at.
        type: int
        default: 0
  server:
    description: Directory of the ACME server that the certificates have to come from.
    type: str
    required: true
  methods:
    description: Parameters of certbot's renewal configuration, by challenge. An empty one must not be set.
    type: dict
    default: {}
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
  renewal_root:
    description: Where certbot keeps its configuration of renewals, C(<name>.conf).
    type: path
    default: /etc/letsencrypt/renewal
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
    server: https://acme-v02.api.letsencrypt.org/directory
    certificates:
      - name: api.medical.test
        domains: [api.medical.test]
        challenge: webroot
        port: 443
    methods:
      webroot: {authenticator: webroot, webroot_path: /var/www/acme}
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
    forced:
      description: Whether certbot has to be told to ask although what it has is good.
      type: bool
    keys:
      description: The private keys with another group or mode than wanted, and what they should have.
      type: list
      elements: dict
      sample: [{path: /etc/letsencrypt/archive/api/privkey1.pem, group: api, mode: "0640"}]
    stale:
      description: Where a client is shown another certificate than the one on disk.
      type: list
      elements: str
      sample: ["api.medical.test on [::1]:443"]
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
wanted:
  description: What was asked for, so that a second look can be spared.
  returned: success
  type: dict
"""

import glob
import grp
import os
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._certificates import (
    X509_ARGUMENTS,
    Certificate,
    Found,
    Wanted,
    due,
    public_key,
    read,
    renewal,
    report,
)
from ansible_collections.minato.fleet.plugins.module_utils._served_certificate import Served, others


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
                    "challenge": {"type": "str", "default": ""},
                    "key_group": {"type": "str", "default": "", "no_log": False},
                    "port": {"type": "int", "default": 0},
                },
            },
            "server": {"type": "str", "required": True},
            "methods": {"type": "dict", "default": {}},
            "root": {"type": "path", "required": True},
            "issued_root": {"type": "path", "required": True},
            "renewal_root": {"type": "path", "default": "/etc/letsencrypt/renewal"},
        },
        supports_check_mode=True,
    )
    openssl = module.get_bin_path("openssl", required=True)
    now = datetime.now(timezone.utc)
    reports = [told(module, openssl, wanted, now) for wanted in module.params["certificates"]]
    asked = {key: module.params[key] for key in ("certificates", "server", "methods")}
    module.exit_json(changed=False, certificates=reports, wanted=asked)


def told(module: AnsibleModule, openssl: str, wanted: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return what is told about one certificate."""
    name, domains = wanted["name"], wanted["domains"]
    directory = os.path.join(module.params["root"], name)
    issued = os.path.join(module.params["issued_root"], name)
    found = look(module, openssl, directory)
    method = module.params["methods"].get(wanted["challenge"], {})
    kept = noted(module, name, issued)
    why = due(found, issued, Wanted(domains, module.params["server"], method), kept, now)
    stale: list[str] = []
    if found.usable and not why.reason:
        with open(os.path.join(directory, "fullchain.pem")) as stream:
            stale = [str(one) for one in others(Served(domains, wanted["port"], stream.read()))]
    return {**report(name, found, why), "keys": wrong_keys(module, (directory, issued), wanted), "stale": stale}


def noted(module: AnsibleModule, name: str, issued: str) -> dict[str, str]:
    """Return what certbot noted down for the renewals of a certificate."""
    path = os.path.join(module.params["renewal_root"], name + ".conf")
    if os.path.isfile(path):
        with open(path) as stream:
            return renewal(stream.read())
    if os.path.isdir(issued):
        module.fail_json(
            msg=f"certbot knows nothing of the certificate in {issued}: there is no {path}, so it is never renewed. "
            f"Put that file back, or move {issued} and its directory in archive/ away to have it issued afresh."
        )
    return {}


def wrong_keys(module: AnsibleModule, places: tuple[str, ...], wanted: dict[str, Any]) -> list[dict[str, str]]:
    """Return the keys that others may read, or that their reader may not. At a renewal certbot keeps group and mode."""
    group = wanted["key_group"] or "root"
    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        # In check mode the task that makes it has not run.
        if not module.check_mode:
            module.fail_json(
                msg=f"The key of certificate {wanted['name']} is wanted for the group {group}, and there is no such "
                "group on this host: create it first, or correct key_group."
            )
        return []
    mode = "0640" if wanted["key_group"] else "0600"
    # What is served now, and what will be once it is linked.
    beside = {os.path.dirname(os.path.realpath(os.path.join(place, "privkey.pem"))) for place in places}
    return [
        {"path": path, "group": group, "mode": mode}
        for place in sorted(beside)
        for path in sorted(glob.glob(os.path.join(glob.escape(place), "privkey*.pem")))
        if (os.stat(path).st_uid, os.stat(path).st_gid, os.stat(path).st_mode & 0o7777) != (0, number, int(mode, 8))
    ]


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
