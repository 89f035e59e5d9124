# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the fleet says of a host's load balancer, as the module ``balancer`` takes it."""

from __future__ import annotations

import typing as t

from ansible_collections.minato.fleet.plugins.plugin_utils import schemas


def balancer(said: t.Any, host: str, instance_id: str = "", region: str = "") -> dict[str, t.Any]:
    """A host's ``fleet_balancer``, complete.

    Args:
        said: ``fleet_balancer``.
        host: Its name in the inventory, which in Lightsail is the instance's where nothing else is said.
        instance_id: Its id in EC2, empty where it has none.
        region: The host's own, for a balancer that names none.
    """
    plain = schemas.plain(said)
    own = host if "lightsail" in plain else instance_id
    settled = {"instance": own, "region": region, **plain}
    return t.cast("dict[str, t.Any]", schemas.complete(settled, schemas.schema()["$defs"]["balancer"]))
