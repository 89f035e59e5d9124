#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have users, at next to no cost where they are there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: users
short_description: Have users, at next to no cost where they are there
version_added: 0.1.0
description:
  - Asks C(getent) once about all users, and M(ansible.builtin.user) only for one that is missing or differs.
  - Without a shell they are system users that nobody can log in as, and their home is not made. With one they are
    people, with a home. Each has a group of its own name.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  users:
    description: The users.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      home:
        description: Home directory, as the user database names it. Empty for C(/home/<name>).
        type: path
        default: ""
      shell:
        description: Shell of a user who logs in. Empty for one who does not.
        type: str
        default: ""
      expired:
        description:
          - Whether nobody gets into the account any more, by a key, a password or sudo. A user who is not there is not
            made; the home of one who is stays.
        type: bool
        default: false
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Give each app a user
  minato.fleet.users:
    users:
      - {name: medical-api, home: /opt/medical-api}

- name: Let one person in, and another one no more
  minato.fleet.users:
    users:
      - {name: alice, shell: /bin/bash}
      - {name: bob, expired: true}
"""

RETURN = r"""
made:
  description: The users that were missing or differed.
  returned: always
  type: list
  elements: str
  sample: [medical-api]
closed:
  description: The users that can no longer log in.
  returned: always
  type: list
  elements: str
  sample: [bob]
"""
