#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Go through a host's security checklist in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: security_check
short_description: Go through a host's security checklist
version_added: 0.1.0
description:
  - Looks at certificates and their keys, at each app's files, processes and logs, at listening ports, packages and SSH,
    and gives one finding a line. Changes nothing, and shows no secret.
  - A line that does not pass is no failure of the module.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  apps:
    description: The apps of the host.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the app.
        type: str
        required: true
      user:
        description: User that it has to run as.
        type: str
        required: true
      home:
        description: Directory of its releases. Every process with its working directory below it is the app's.
        type: path
        required: true
      env_files:
        description: Its environment files. One that is missing is passed over.
        type: list
        elements: path
        default: []
      env_name:
        description: Name of the environment file in a release, which the repository has to ignore. Empty for none.
        type: str
        default: ""
      secrets:
        description: Names of the variables whose values must be in no log.
        type: list
        elements: str
        default: []
      log_dir:
        description: Directory of its logs.
        type: path
        required: true
      units:
        description: systemd units whose journal is its log.
        type: list
        elements: str
        default: []
      data:
        description: Directories that the app writes to and nobody else may read.
        type: list
        elements: path
        default: []
  certificates:
    description: The certificates that the host serves.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      directory:
        description: Where C(fullchain.pem) and C(privkey.pem) are.
        type: path
        required: true
      key_group:
        description: Group that may read the private key. Empty for root alone.
        type: str
        default: ""
  ports:
    description: Ports that may be reached from elsewhere.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: The port.
        type: int
        required: true
      protocol:
        description: Its protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    description: Changes nothing in either mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
requirements:
  - openssl, ss, git and apt-get on the host
"""

EXAMPLES = r"""
- name: Go through the checklist
  minato.fleet.security_check:
    apps:
      - name: morizo-aiv2
        user: morizo-aiv2
        home: /opt/morizo-aiv2
        env_files: [/opt/morizo-aiv2/shared/.env]
        env_name: .env
        secrets: [OPENAI_API_KEY]
        log_dir: /var/log/morizo-aiv2
        units: [morizo-aiv2.service]
        data: [/opt/morizo-aiv2/shared/recipe_vector_db_main]
    certificates:
      - {name: morizo.test, directory: /etc/ssl/fleet/morizo.test}
    ports:
      - {port: 22}
      - {port: 443}
  register: checklist
"""

RETURN = r"""
findings:
  description: The lines of the checklist.
  returned: success
  type: list
  elements: dict
  contains:
    check:
      description: What is asked for.
      type: str
      sample: private key
    subject:
      description: What was looked at.
      type: str
    passed:
      description: Whether it is so.
      type: bool
    wrong:
      description: What is not as it should be; empty where it passes.
      type: str
    remedy:
      description: What to do about it; empty where it passes.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._processes import UnseenError
from ansible_collections.minato.fleet.plugins.module_utils._security_check_host import Host


def main() -> None:
    paths = {"type": "list", "elements": "path", "default": []}
    texts = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "apps": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "user": {"type": "str", "required": True},
                    "home": {"type": "path", "required": True},
                    "env_files": paths,
                    "env_name": {"type": "str", "default": ""},
                    "secrets": {**texts, "no_log": False},
                    "log_dir": {"type": "path", "required": True},
                    "units": texts,
                    "data": paths,
                },
            },
            "certificates": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "directory": {"type": "path", "required": True},
                    "key_group": {"type": "str", "default": "", "no_log": False},
                },
            },
            "ports": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "port": {"type": "int", "required": True},
                    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        found = Host(module.run_command).findings(*(module.params[name] for name in ("apps", "certificates", "ports")))
    except UnseenError as error:
        module.fail_json(msg=f"The checklist is not complete: {error}")
    module.exit_json(findings=[each.report() for each in found])


if __name__ == "__main__":
    main()
