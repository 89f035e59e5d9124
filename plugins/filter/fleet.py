# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters of the playbooks: from the catalog to the apps of a host, and from those to each role's input."""

from __future__ import annotations

import typing as t

from ansible_collections.minato.fleet.plugins.plugin_utils import (
    balancing,
    catalog,
    checklist,
    contract,
    forwards,
    move,
    release_table,
    wiring,
)


class FilterModule:
    """The filters, each documented beside this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "app_certificates": wiring.app_certificates,
            "app_homes": wiring.app_homes,
            "app_releases": wiring.app_releases,
            "balancer": balancing.balancer,
            "ca_certificates": wiring.ca_certificates,
            "certificates": wiring.certificates,
            "checked_apps": wiring.checked_apps,
            "checked_certificates": wiring.checked_certificates,
            "checklist": checklist.lines,
            "contract": contract.problems,
            "database_clients": wiring.database_clients,
            "deploy_keys": wiring.deploy_keys,
            "env_files": wiring.env_files,
            "forward_upstreams": forwards.forward_upstreams,
            "forwarded_apps": forwards.forwarded_apps,
            "forwarded_here": forwards.forwarded_here,
            "host_addresses": forwards.host_addresses,
            "logrotate_rules": wiring.logrotate_rules,
            "move": move.move,
            "nginx_sites": wiring.nginx_sites,
            "nginx_upstreams": wiring.nginx_upstreams,
            "node_versions": wiring.node_versions,
            "plan": contract.plan,
            "pm2_apps": wiring.pm2_apps,
            "pm2_node_bin": wiring.pm2_node_bin,
            "postgres_databases": wiring.postgres_databases,
            "postgres_roles": wiring.postgres_roles,
            "probe": wiring.probe,
            "python_versions": wiring.python_versions,
            "release_table": release_table.release_table,
            "running": wiring.running,
            "select_apps": catalog.select_apps,
            "shown_certificates": forwards.shown_certificates,
            "slot_ports": wiring.ports,
            "systemd_units": wiring.systemd_units,
        }
