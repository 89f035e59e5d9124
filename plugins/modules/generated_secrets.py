#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make secrets once on the host that uses them, and keep them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: generated_secrets
short_description: Make secrets once on the host that uses them, and keep them
version_added: 0.1.0
author:
  - The minato.fleet maintainers (@minato-fleet)
description:
  - Returns the secrets of environment files. M(minato.fleet.env_files) writes them into the files.
  - A secret that is in the store is returned as it is. One that its environment file holds already is taken over into
    the store, with a warning. Only one that is in neither is made, of 32 random bytes in base64.
  - The store is C(/var/lib/minato/generated_secrets/secrets.json), for root alone. It forgets nothing by itself,
    whatever becomes of the environment files.
options:
  files:
    description: The environment files and the keys whose values are made.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path of the environment file. The file itself is only read.
        type: path
        required: true
      keys:
        description: Names of the variables.
        type: list
        elements: str
        required: true
  store:
    description: File that keeps the secrets.
    type: path
    default: /var/lib/minato/generated_secrets/secrets.json
notes:
  - The result holds the secrets, so a task of one's own needs C(no_log).
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Make what the app signs its tokens with
  minato.fleet.generated_secrets:
    files:
      - path: /opt/shop/shared/.env
        keys: [JWT_SECRET]
  no_log: true
  register: shop_secrets
"""

RETURN = r"""
values:
  description: The secrets, by path and key. In check mode, one that would be made is a sample that is kept nowhere.
  returned: success
  type: dict
  sample: {"/opt/shop/shared/.env": {"JWT_SECRET": "..."}}
made:
  description: Those that were made, as C(PATH:) and the key.
  returned: success
  type: list
  elements: str
  sample: ["/opt/shop/shared/.env: JWT_SECRET"]
adopted:
  description: Those that were taken over from their environment file.
  returned: success
  type: list
  elements: str
  sample: []
"""

from contextlib import nullcontext

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._generated_secrets import (
    STORE,
    SecretsError,
    load,
    locked,
    merged,
    plan,
    read_present,
    save,
)


def main() -> None:
    file_spec = {
        "path": {"type": "path", "required": True},
        "keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
    }
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": file_spec},
            "store": {"type": "path", "default": STORE},
        },
        supports_check_mode=True,
    )
    store = module.params["store"]
    wanted = {file["path"]: file["keys"] for file in module.params["files"]}
    try:
        with nullcontext() if module.check_mode else locked(store):
            stored = load(store)
            planned = plan(stored, {path: read_present(path) for path in wanted}, wanted)
            changed = bool(planned.made or planned.adopted)
            if changed and not module.check_mode:
                save(store, merged(stored, planned.values))
    except SecretsError as error:
        module.fail_json(msg=str(error))
    for name in planned.adopted:
        module.warn(f"{name} was there before and is kept. Where it is only a sample, delete its line and run again.")
    module.exit_json(changed=changed, values=planned.values, made=planned.made, adopted=planned.adopted)


if __name__ == "__main__":
    main()
