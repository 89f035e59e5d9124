# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters of the role systemd_unit: what is wrong with its input, and what its templates print."""

from __future__ import annotations

import typing as t

from ansible_collections.minato.fleet.plugins.module_utils import _systemd_units_model


class FilterModule:
    """The filters, each documented beside this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "systemd_unit_model": _systemd_units_model.model,
            "systemd_unit_problems": _systemd_units_model.problems,
        }
