#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put a whole set of configuration files in place, or none of it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_tree
short_description: Put a whole set of configuration files in place, or none of it
version_added: 0.1.0
description:
  - Takes every file, directory and link that one service needs as one set, in one call per host.
  - Templates are rendered on the controller. The host then compares, stages, validates the staged set with the
    service's own checker,
    swaps it in, removes what the set managed and no longer wants, and reloads the service.
  - Nothing changes where the validation fails; the old set is back and serving where the reload fails.
  - A run killed at any moment leaves every path with its old or its new content; the next run finishes or undoes
    the half-made swap
    from its journal.
  - A file that the set never managed is never touched, unless it is wanted or listed under O(absent); then a copy
    is kept.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  name:
    description:
      - Name of the set. Its books (manifest, journal, backups) live in C(/var/lib/minato/config_tree/<name>/),
        readable by root only.
      - A set keeps its name for ever; under another name it would forget which files it manages.
    type: str
    required: true
  directory:
    description:
      - A directory in which all paths of the set lie. It is then staged as a whole (what the set does not manage is
        carried over as it is)
        and swapped by one rename.
      - Where one rename is impossible (a mount point, a file system without C(RENAME_EXCHANGE)) the files are
        renamed one by one under the journal.
    type: path
  files:
    description: Regular files of the set.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: str
        required: true
      template:
        description:
          - Jinja template, searched for in the role's C(templates/). Exactly one of O(files[].template),
            O(files[].content), O(files[].src).
        type: str
      vars:
        description: Variables for this template alone.
        type: dict
      content:
        description: The content itself.
        type: str
      content_base64:
        description: The content in base64, for what is not text. The action plugin fills it for O(files[].src).
        type: str
      src:
        description: File on the controller, searched for in the role's C(files/), copied as it is.
        type: str
      owner:
        description: Name (or number) of the owner.
        type: str
        default: root
      group:
        description: Name (or number) of the group.
        type: str
        default: root
      mode:
        description: Four octal digits, as a quoted string.
        type: raw
        default: "0644"
      secret:
        description:
          - The content never shows up in a diff, in a result or in the log.
          - The diff names the keys that come, go or change, where the file consists of C(KEY=value) lines.
        type: bool
        default: false
  directories:
    description: Directories of the set. Missing parents of a path are made (root, 0755) without being listed.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: str
        required: true
      owner:
        description: Name (or number) of the owner.
        type: str
        default: root
      group:
        description: Name (or number) of the group.
        type: str
        default: root
      mode:
        description: Four octal digits, as a quoted string.
        type: raw
        default: "0755"
  links:
    description: Symbolic links of the set.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path of the link.
        type: str
        required: true
      target:
        description: What it points at, written as it is into the link.
        type: str
        required: true
  absent:
    description: Paths that must not exist, whoever made them. What is removed is saved first.
    type: list
    elements: str
    default: []
  validate:
    description:
      - Commands (no shell) that check the staged set. Each sees it at its final paths, in a mount namespace of its
        own.
      - They run only when something changes, and not in check mode.
    type: list
    elements: str
    default: []
  reload:
    description: Command (no shell) run after the swap, if anything changed.
    type: str
  confirm_within:
    description:
      - Seconds within which the controller must have reached the host over a new connection after the set went live.
        Otherwise the host puts the old set back and runs O(reload), by itself, also when it was restarted meanwhile.
      - For what can lock the controller out, as an SSH server's or a firewall's configuration. V(0) asks for no proof.
      - A connection that is no login (as into a container) is only used, not made anew. Not together with
        O(directory).
    type: int
    default: 0
  confirm:
    description: Keep the set that waits to be confirmed. Filled in by the action plugin, not by people.
    type: bool
    default: false
  secrets:
    description: Base64 content of the files with O(files[].secret). Filled in by the action plugin, not by people.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Can run in check mode and predict changes without making them.
    support: full
  diff_mode:
    description: Shows what changes or would change; of a secret file the names of its keys only.
    support: full
notes:
  - Owners and groups that do not exist yet are predicted in check mode, and refused before any change otherwise.
"""

EXAMPLES = r"""
- name: Let nobody in but these, and not lock out oneself
  minato.fleet.config_tree:
    name: ssh
    files:
      - path: /etc/ssh/sshd_config.d/00-keys-only.conf
        content: |
          PasswordAuthentication no
    validate: [sshd -t]
    reload: systemctl reload ssh
    confirm_within: 300

- name: Configure nginx
  minato.fleet.config_tree:
    name: nginx
    directory: /etc/nginx
    files:
      - path: /etc/nginx/nginx.conf
        template: etc/nginx/nginx.conf.j2
    absent: [/etc/nginx/sites-enabled/default]
    validate: [nginx -t]
    reload: systemctl reload nginx

- name: Write the app's secrets
  minato.fleet.config_tree:
    name: env_file
    files:
      - path: /opt/shop/shared/.env
        content: "{{ shop_env }}"
        owner: shop
        group: shop
        mode: "0600"
        secret: true
"""

RETURN = r"""
files:
  description: Paths of files, links and directories that were written or given another owner, group or mode.
  returned: always
  type: list
  elements: str
removed:
  description: Paths that were removed.
  returned: always
  type: list
  elements: str
backups:
  description: Copies kept of what this set had not written itself.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Path of the original.
      type: str
    reason:
      description: Why a copy was kept.
      type: str
    saved_to:
      description: Path of the copy; empty in check mode.
      type: str
recovered:
  description: Whether a swap that an earlier run left half-made was finished or undone.
  returned: always
  type: bool
swap:
  description: How the set went live, C(directory) (one rename), C(files) (a rename for each) or C(none).
  returned: always
  type: str
unconfirmed:
  description: Whether the set still waits to be confirmed; after the task that is false.
  returned: always
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._config_tree import InputError, RunError, confirm, run
from ansible_collections.minato.fleet.plugins.module_utils._priority import behind_the_apps

_ACCESS = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}


def main() -> None:
    """Run the module."""
    behind_the_apps()
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "directory": {"type": "path"},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "template": {"type": "str"},
                    "vars": {"type": "dict"},
                    "content": {"type": "str"},
                    "content_base64": {"type": "str"},
                    "src": {"type": "str"},
                    "mode": {"type": "raw", "default": "0644"},
                    "secret": {"type": "bool", "default": False, "no_log": False},
                    **_ACCESS,
                },
            },
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "mode": {"type": "raw", "default": "0755"},
                    **_ACCESS,
                },
            },
            "links": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"path": {"type": "str", "required": True}, "target": {"type": "str", "required": True}},
            },
            "absent": {"type": "list", "elements": "str", "default": []},
            "validate": {"type": "list", "elements": "str", "default": []},
            "reload": {"type": "str"},
            "confirm_within": {"type": "int", "default": 0},
            "confirm": {"type": "bool", "default": False},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        if module.params["confirm"]:
            confirm(module.params["name"])
            module.exit_json(invocation={}, unconfirmed=False)
        result = run(module.params, check=module.check_mode, with_diff=module._diff, warn=module.warn)
    except (InputError, RunError) as error:
        module.fail_json(msg=str(error), invocation={})
    module.exit_json(invocation={}, **result)


if __name__ == "__main__":
    main()
