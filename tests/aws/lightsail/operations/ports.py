"""An instance's firewall."""

from __future__ import annotations

import ipaddress
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, Resource
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import operation

Port = dict[str, Any]

ALIASES = ("lightsail-connect",)
SOURCES = ("cidrs", "ipv6Cidrs", "cidrListAliases")
ANYWHERE = {"cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"], "cidrListAliases": []}


def _tcp(port: int) -> Port:
    return {"fromPort": port, "toPort": port, "protocol": "tcp"}


DEFAULT = {"LINUX_UNIX": [_tcp(22), _tcp(80)], "WINDOWS": [_tcp(22), _tcp(80), _tcp(3389)]}


def put(instance: Resource, wanted: list[Port]) -> None:
    """Let these be an instance's open ports, and no other."""
    rules: dict[tuple[Any, ...], Port] = {}
    for port in wanted:
        rules[_key(port)] = _answered(_checked(port))
    instance.setdefault("networking", {})["ports"] = list(rules.values())


def _key(port: Port) -> tuple[Any, ...]:
    return port.get("fromPort"), port.get("toPort"), port.get("protocol")


def _checked(port: Port) -> Port:
    """Return a rule with its sources, which are everywhere where none is given."""
    lacking = [name for name in ("fromPort", "toPort", "protocol") if port.get(name) is None]
    if lacking:
        raise InvalidInputError(f"The port information has no {' and no '.join(lacking)}.")
    protocol, first, last = port["protocol"], port["fromPort"], port["toPort"]
    if protocol in ("tcp", "udp") and not 0 <= first <= last:
        raise InvalidInputError(f"The port range is not valid for {protocol}: {first} to {last}")
    sources = {name: list(port.get(name) or []) for name in SOURCES}
    if not any(sources.values()):
        only = {"icmp": "cidrs", "icmpv6": "ipv6Cidrs"}.get(protocol)
        sources = {name: [] if only not in (None, name) else list(ANYWHERE[name]) for name in SOURCES}
    for name, version in (("cidrs", 4), ("ipv6Cidrs", 6)):
        sources[name] = [_network(text, version) for text in sources[name]]
    for alias in sources["cidrListAliases"]:
        if alias not in ALIASES:
            raise InvalidInputError(f"The CIDR list alias is not one of {', '.join(ALIASES)}: {alias}")
    return {"fromPort": first, "toPort": last, "protocol": protocol, **sources}


def _network(text: str, version: int) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        network = None
    if network is None or network.version != version:
        raise InvalidInputError(f"This is no IPv{version} address or range in CIDR notation: {text}")
    return str(network)


def _answered(port: Port) -> Port:
    everywhere = port["cidrs"] == ANYWHERE["cidrs"]
    return {
        **port,
        "accessFrom": "Anywhere (0.0.0.0/0 and ::/0)" if everywhere and port["ipv6Cidrs"] else "Custom",
        "accessType": "public",
        "commonName": "",
        "accessDirection": "inbound",
    }


@operation
def get_instance_port_states(cloud: LightsailBackend, instance_name: str) -> dict[str, Any]:
    opened = cloud.get("Instance", instance_name)["networking"]["ports"]
    names = ("fromPort", "toPort", "protocol", *SOURCES)
    return {"portStates": [{**{name: port[name] for name in names}, "state": "open"} for port in opened]}


@operation
def put_instance_public_ports(cloud: LightsailBackend, port_infos: list[Port], instance_name: str) -> dict[str, Any]:
    instance = cloud.get("Instance", instance_name)
    put(instance, port_infos)
    return {"operation": cloud.done("PutInstancePublicPorts", instance)}


@operation
def open_instance_public_ports(cloud: LightsailBackend, port_info: Port, instance_name: str) -> dict[str, Any]:
    instance = cloud.get("Instance", instance_name)
    put(instance, [*instance["networking"]["ports"], port_info])
    return {"operation": cloud.done("OpenInstancePublicPorts", instance, _details(port_info))}


@operation
def close_instance_public_ports(cloud: LightsailBackend, port_info: Port, instance_name: str) -> dict[str, Any]:
    instance = cloud.get("Instance", instance_name)
    opened = instance["networking"]["ports"]
    left = [port for port in opened if _key(port) != _key(_checked(port_info))]
    if len(left) == len(opened):
        raise InvalidInputError(f"The port is not open: {_details(port_info)}")
    instance["networking"]["ports"] = left
    return {"operation": cloud.done("CloseInstancePublicPorts", instance, _details(port_info))}


def _details(port: Port) -> str:
    return f"{port.get('protocol')}:{port.get('fromPort')}-{port.get('toPort')}"
