# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters of the role nginx: what is wrong with its input, and what its templates print."""

from __future__ import annotations

import typing as t

from ansible_collections.minato.fleet.plugins.plugin_utils import nginx_refusals, nginx_sites


class FilterModule:
    """The filters, each documented beside this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"nginx_model": nginx_sites.model, "nginx_problems": nginx_refusals.problems}
