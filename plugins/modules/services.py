#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have systemd units up now and at boot, at next to no cost where they are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: services
short_description: Have systemd units up now and at boot, at next to no cost where they are
version_added: 0.1.0
description:
  - Asks C(systemctl show) once about all units, and M(ansible.builtin.systemd_service) only for one that is not
    both active and enabled.
  - A dry run foretells the start of a unit whose package is not there yet.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  name:
    description: Names of the units.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Start nginx now and at boot
  minato.fleet.services:
    name: [nginx.service]
"""

RETURN = r"""
started:
  description: The units that were not up, or not at boot.
  returned: always
  type: list
  elements: str
  sample: [nginx.service]
"""
