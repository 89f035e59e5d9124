# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Apps whose names one host answers to and whose processes run on another: from fleet_forwards to the roles' input.

The web server that answers passes a request on as it is, over TLS, to the web server of the host that runs the app. No
authority would give that one a certificate for the name: it signs its own, and the first one holds it against that.
"""

from __future__ import annotations

import typing as t
from ipaddress import ip_address

from ansible_collections.minato.fleet.plugins.plugin_utils import catalog, contract_fleet, wiring
from ansible_collections.minato.fleet.plugins.plugin_utils.catalog import App
from ansible_collections.minato.fleet.plugins.plugin_utils.wiring import Item

Hosts = t.Mapping[str, t.Mapping[str, t.Any]]


def forwarded_apps(apps: t.Any, forwards: t.Mapping[str, str]) -> list[App]:
    """The apps that a host forwards, complete, each with its host (``forward_to``); their paths are passed on whole.

    Args:
        apps: The catalog (``fleet_apps``).
        forwards: The host's ``fleet_forwards``.
    """
    return [
        {
            **app,
            "forward_to": str(forwards[app["name"]]),
            "routes": [{**route, "strip_prefix": False} for route in app["routes"]],
        }
        for app in catalog.select_apps(apps, list(forwards))
    ]


def forwarded_here(forwards: t.Mapping[str, t.Mapping[str, str]], host: str) -> dict[str, list[str]]:
    """The apps that other hosts forward to this one, each with those hosts.

    Args:
        forwards: Each host's ``fleet_forwards``, by its name.
    """
    found: dict[str, list[str]] = {}
    for other, names in forwards.items():
        for app in (str(app) for app, to in names.items() if to == host):
            found.setdefault(app, []).append(str(other))
    return found


def shown_certificates(apps: list[App]) -> list[Item]:
    """What the hosts of forwarded apps show: ``app``, ``to`` (its host), ``names`` (of certificates)."""
    return [{"app": app["name"], "to": app["forward_to"], "names": wiring.hosts([app])} for app in apps]


def forward_upstreams(
    apps: list[App], shown: list[Item], hosts: Hosts, maintenance: t.Sequence[str] = ()
) -> list[Item]:
    """Input of the role nginx: one upstream for each forwarded app.

    Args:
        shown: What was read for each entry of ``shown_certificates``: ``item``, that entry, and ``pem``, the
            certificates among them that the host signed itself.
        hosts: Every host's variables, by its name.
        maintenance: Names of the apps that are under maintenance.
    """
    own = {found["item"]["app"]: found.get("pem", "") for found in shown}
    return [
        {
            "name": app["name"],
            "servers": [f"{_literal(contract_fleet.address(hosts[app['forward_to']]))}:443"],
            "tls": True,
            "ca": own.get(app["name"], ""),
            "maintenance": app["name"] in maintenance,
        }
        for app in apps
    ]


def _literal(address: str) -> str:
    return f"[{address}]" if ip_address(address).version == 6 else address


def host_addresses(names: t.Iterable[str], hosts: Hosts) -> list[str]:
    """The addresses of hosts, each once.

    Args:
        hosts: Every host's variables, by its name.
    """
    return list(dict.fromkeys(contract_fleet.address(hosts[name]) for name in names))
