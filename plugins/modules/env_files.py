#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the environment files of a host, secret from end to end."""

from __future__ import annotations

DOCUMENTATION = r"""
module: env_files
short_description: Write the environment files of a host, secret from end to end
version_added: 0.1.0
description:
  - Writes environment files that Node's dotenv, Python's dotenv, systemd's C(EnvironmentFile=) and a POSIX shell
    read alike.
  - A variable's value is given, found by a lookup on the controller, or made once on the host by
    M(minato.fleet.generated_secrets). One that is missing, empty or unwritable stops the task before anything changes,
    with a message that names the file, the key and the source.
  - The files are one set of M(minato.fleet.config_tree). No value appears in any output.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  name:
    description: Name of the set of files. A file that this set had before and is not in O(files) is removed.
    type: str
    default: env_file
  files:
    description: The environment files, the whole of the set.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      owner:
        description: Owner of the file.
        type: str
        default: root
      group:
        description: Group of the file.
        type: str
        default: root
      mode:
        description: Four octal digits, as a quoted string.
        type: str
        default: "0600"
      values:
        description: Variables by name, strings or whole numbers.
        type: dict
        default: {}
      lookups:
        description: Variables that a lookup plugin finds, each lookup asked once for all of its keys.
        type: list
        elements: dict
        default: []
        suboptions:
          plugin:
            description: Name of the lookup plugin, for example V(minato.fleet.stored_secrets).
            type: str
            required: true
          term:
            description: What the plugin looks for.
            type: str
            required: true
          options:
            description: The plugin's options.
            type: dict
            default: {}
          keys:
            description:
              - The variables to take from the answer, which is a mapping or a JSON object.
              - With one key it may be the value itself.
            type: list
            elements: str
            required: true
      generate:
        description: Variables that are made once on the host, of 32 random bytes in base64, and kept.
        type: list
        elements: str
        default: []
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Write the app's environment
  minato.fleet.env_files:
    files:
      - path: /opt/shop/shared/.env
        owner: shop
        group: shop
        values:
          PORT: 3000
        lookups:
          - plugin: minato.fleet.stored_secrets
            term: /production/
            options: {app: shop}
            keys: [STRIPE_KEY, SMTP_PASSWORD]
        generate: [JWT_SECRET]
"""

RETURN = r"""
generated:
  description: The secrets that were made, as C(PATH:) and the key.
  returned: success
  type: list
  elements: str
  sample: ["/opt/shop/shared/.env: JWT_SECRET"]
files:
  description: Paths of files that were written or given another owner, group or mode.
  returned: success
  type: list
  elements: str
  sample: [/opt/shop/shared/.env]
removed:
  description: Paths that were removed.
  returned: success
  type: list
  elements: str
  sample: []
"""
