#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Set the few facts that the roles use, at next to no cost."""

from __future__ import annotations

DOCUMENTATION = r"""
module: facts
short_description: Set the few facts that the roles use, at next to no cost
version_added: 0.1.0
description:
  - Reads C(/etc/os-release), C(uname) and C(/proc/meminfo) in one command, and sets C(architecture),
    C(distribution), C(distribution_major_version), C(distribution_release), C(distribution_version),
    C(memtotal_mb) and C(nodename) as M(ansible.builtin.setup) does, in a seventh of the time.
  - Refuses a host that runs neither Debian nor Ubuntu.
author:
  - The minato.fleet maintainers (@minato-fleet)
options: {}
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Know the host
  minato.fleet.facts:
"""

RETURN = r"""
ansible_facts:
  description: The facts.
  returned: success
  type: dict
  sample:
    architecture: x86_64
    distribution: Debian
    distribution_major_version: "12"
    distribution_release: bookworm
    distribution_version: "12"
    memtotal_mb: 1966
    nodename: medical-1
"""
