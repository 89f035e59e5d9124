#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask for the versions of installed packages, at next to no cost."""

from __future__ import annotations

DOCUMENTATION = r"""
module: package_versions
short_description: Ask for the versions of installed packages, at next to no cost
version_added: 0.1.0
description:
  - Asks C(dpkg) once. Packages that are not installed are not in the answer. Nothing is changed.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  name:
    description: Names of the packages.
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
- name: See which Node.js there is
  minato.fleet.package_versions:
    name: [nodejs, npm]
  register: node_packages
"""

RETURN = r"""
installed:
  description: Versions of the installed ones by name.
  returned: always
  type: dict
  sample: {"nodejs": "20.19.5-1nodesource1"}
"""
