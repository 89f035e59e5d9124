# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract: everything that can be known to be wrong before the first change on any host.

What is wrong with one app stands in ``contract_apps``, with the apps of one host in ``contract_hosts``, and with what
several hosts or apps share (names, databases) in ``contract_shared``. Each rule gives sentences: where, what, and what
to write instead.
"""

from __future__ import annotations

import typing as t

from ansible_collections.minato.fleet.plugins.plugin_utils import (
    capacity,
    catalog,
    contract_apps,
    contract_hosts,
    contract_shared,
    schemas,
)
from ansible_collections.minato.fleet.plugins.plugin_utils.contract_fleet import Fleet, Host

SET_BY_PLAYBOOKS = ("fleet_host_apps", "fleet_leaving_app_names")
RULES = (*contract_hosts.INVENTORY, *contract_apps.RULES, *contract_hosts.RULES, *contract_shared.RULES)


def problems(
    apps: t.Any, hosts: t.Mapping[str, t.Any], secrets: t.Any, databases: t.Any, base_memory: str
) -> list[str]:
    """Every breach of the contract, one sentence each.

    Args:
        apps: The catalog (``fleet_apps``).
        hosts: Each host's variables by its name. Read are the fleet's own, ``group_names``, ``groups``, the fact
            ``memtotal_mb`` where ``fleet_memory_mb`` is not given, and an address where ``fleet_address`` is not.
        secrets: ``fleet_secrets``: values by app and name.
        databases: ``fleet_database`` of the servers of the group type_database, by inventory name.
        base_memory: What the operating system and the shared services take of a host's RAM, as ``600M``.
    """
    listed = schemas.plain(apps)
    found = [*catalog.schema_problems(listed), *_variable_problems(hosts, databases)]
    if found:
        return found  # what follows reads keys that the schema has to vouch for
    fleet = _fleet(listed, hosts, secrets, databases, base_memory)
    return [sentence for rule in RULES for sentence in rule(fleet)]


def plan(apps: t.Any, hosts: t.Mapping[str, t.Any], databases: t.Mapping[str, t.Any], base_memory: str) -> list[str]:
    """What each host's memory and each database server's connections are needed for, a line each.

    Args: as of ``problems``. A catalog that breaks its schema gives no line: ``problems`` says why.
    """
    listed = schemas.plain(apps)
    if catalog.schema_problems(listed) or _variable_problems(hosts, databases):
        return []
    return capacity.table(_fleet(listed, hosts, {}, databases, base_memory))


def _fleet(
    apps: list[t.Any], hosts: t.Mapping[str, t.Any], secrets: t.Any, databases: t.Mapping[str, t.Any], base_memory: str
) -> Fleet:
    return Fleet(
        apps=[catalog.complete(app) for app in apps],
        hosts=[Host.of(str(name), variables) for name, variables in sorted(hosts.items())],
        secrets=secrets or {},
        databases=databases,
        base_memory=base_memory,
        everywhere=_inventory(hosts),
    )


def _inventory(hosts: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    """Every host of the inventory, which each host's variables name; without them, the hosts given."""
    groups: t.Mapping[str, t.Any] = next(
        (variables["groups"] for variables in hosts.values() if "groups" in variables), {}
    )
    return tuple(map(str, groups.get("all", hosts)))


def _variable_problems(hosts: t.Mapping[str, t.Any], databases: t.Mapping[str, t.Any]) -> list[str]:
    """What the fleet's variables of a host cannot be, and which are misspelt. What all hosts share is said once."""
    known = {name: rule for name, rule in schemas.schema()["properties"].items() if name != "fleet_apps"}
    holders: dict[str, list[str]] = {}
    for host, variables in sorted(hosts.items()):
        for name in sorted(variables):
            if name in known:
                for sentence in _value_problems(str(name), schemas.plain(variables[name]), known[name]):
                    holders.setdefault(sentence, []).append(str(host))
            elif near := _misspelt(str(name)):
                holders.setdefault(f"{name} is not a variable of the fleet. Write {near} instead.", []).append(
                    str(host)
                )
    for server, value in sorted(databases.items()):
        for sentence in _value_problems("fleet_database", schemas.plain(value), known["fleet_database"]):
            holders.setdefault(sentence, []).append(str(server))
    return [f"{', '.join(names)}: {sentence}" for sentence, names in holders.items()]


def _value_problems(name: str, value: t.Any, rule: schemas.Schema) -> t.Iterator[str]:
    whole = {"description": "", "properties": {name: rule}}
    for error in schemas.errors(value, schemas.resolve(rule)):
        for sentence in schemas.sentences(error, "", [name, *error.absolute_path], whole):
            yield sentence.removeprefix(": ")


def _misspelt(name: str) -> str | None:
    """The variable that was meant; None for one that is near to none, and for what the playbooks set."""
    if not name.startswith("fleet_") or name in ("fleet_apps", *SET_BY_PLAYBOOKS):
        return None
    return schemas.nearest(name, schemas.schema()["properties"], likeness=0.85)
