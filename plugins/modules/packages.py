#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have Debian packages installed, at next to no cost where they are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Have Debian packages installed, at next to no cost where they are
version_added: 0.1.0
description:
  - Asks C(dpkg-query) first, and M(ansible.builtin.apt) only for what is missing. Opening apt's cache costs two
    to three times as much as a trivial module, and a run that changes nothing never needs it.
  - What is missing is installed without recommended packages, from package lists at most an hour old.
  - A dry run on a host without package lists fetches them, since nothing could be foreseen without.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  name:
    description: Names of the packages, without version or architecture.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Install nginx
  minato.fleet.packages:
    name: [nginx]
"""

RETURN = r"""
installed:
  description: The packages that were missing.
  returned: always
  type: list
  elements: str
  sample: [nginx]
"""
