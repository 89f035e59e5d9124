"""DNS zones and their records."""

from __future__ import annotations

import ipaddress
import uuid
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError, NotFoundError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend
from ansible_collections.minato.fleet.tests.aws.lightsail.operations.registry import domain_operation

TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT")


@domain_operation
def create_domain(
    cloud: LightsailBackend, domain_name: str, tags: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    if domain_name in cloud.domains:
        raise InvalidInputError(f"Some names are already in use: {domain_name}", code="NameExists")
    entries = [
        {"id": _number(), "name": domain_name, "type": "NS", "isAlias": False, "target": f"ns-{number}.awsdns.test."}
        for number in range(1, 5)
    ]
    domain = {**cloud.resource("Domain", domain_name), "tags": tags or [], "domainEntries": entries}
    cloud.domains[domain_name] = domain
    return {"operation": cloud.record("CreateDomain", "Domain", domain_name)}


@domain_operation
def get_domain(cloud: LightsailBackend, domain_name: str) -> dict[str, Any]:
    return {"domain": _domain(cloud, domain_name)}


@domain_operation
def get_domains(cloud: LightsailBackend, page_token: str = "") -> dict[str, Any]:
    return cloud.page("domains", list(cloud.domains.values()), page_token)


@domain_operation
def delete_domain(cloud: LightsailBackend, domain_name: str) -> dict[str, Any]:
    _domain(cloud, domain_name)
    del cloud.domains[domain_name]
    return {"operation": cloud.record("DeleteDomain", "Domain", domain_name)}


# AWS records it under the name of the update: the model has no other.
@domain_operation
def create_domain_entry(cloud: LightsailBackend, domain_name: str, domain_entry: dict[str, Any]) -> dict[str, Any]:
    domain = _domain(cloud, domain_name)
    entry = _checked(domain_name, domain_entry)
    if any(_same(entry, other) for other in domain["domainEntries"]):
        raise InvalidInputError(f"The domain entry already exists: {entry['name']}", code="NameExists")
    domain["domainEntries"].append({**entry, "id": _number(), "isAlias": bool(entry.get("isAlias"))})
    return {"operation": cloud.record("UpdateDomainEntry", "Domain", domain_name, entry["name"])}


@domain_operation
def delete_domain_entry(cloud: LightsailBackend, domain_name: str, domain_entry: dict[str, Any]) -> dict[str, Any]:
    domain = _domain(cloud, domain_name)
    entry = _checked(domain_name, domain_entry)
    kept = [other for other in domain["domainEntries"] if not _same(entry, other)]
    if len(kept) == len(domain["domainEntries"]):
        raise NotFoundError(f"The domain entry does not exist: {entry['name']}")
    domain["domainEntries"] = kept
    return {"operation": cloud.record("DeleteDomainEntry", "Domain", domain_name, entry["name"])}


@domain_operation
def update_domain_entry(cloud: LightsailBackend, domain_name: str, domain_entry: dict[str, Any]) -> dict[str, Any]:
    domain = _domain(cloud, domain_name)
    entry = _checked(domain_name, domain_entry)
    found = [other for other in domain["domainEntries"] if other["id"] == entry.get("id")]
    if not found:
        raise NotFoundError(f"The domain entry does not exist: {entry.get('id', entry['name'])}")
    found[0].update(entry)
    return {"operations": [cloud.record("UpdateDomainEntry", "Domain", domain_name, entry["name"])]}


def _domain(cloud: LightsailBackend, name: str) -> dict[str, Any]:
    if name not in cloud.domains:
        raise NotFoundError(f"The Domain does not exist: {name}")
    return cloud.domains[name]


def _checked(domain: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Return a record whose parts fit each other and its zone."""
    lacking = [key for key in ("name", "type", "target") if not entry.get(key)]
    if lacking:
        raise InvalidInputError(f"The domain entry has no {' and no '.join(lacking)}.")
    name, kind, target = entry["name"], entry["type"], entry["target"]
    if kind not in TYPES:
        raise InvalidInputError(f"The domain entry type {kind} is not one of {', '.join(TYPES)}.")
    if name != domain and not name.endswith("." + domain):
        raise InvalidInputError(f"The domain entry {name} is not in the domain {domain}.")
    if kind == "TXT" and not (len(target) > 1 and target[0] == target[-1] == '"'):
        raise InvalidInputError("The target of a TXT entry must be enclosed in quotation marks.")
    if kind in ("A", "AAAA") and not entry.get("isAlias"):
        try:
            fits = ipaddress.ip_address(target).version == (4 if kind == "A" else 6)
        except ValueError:
            fits = False
        if not fits:
            raise InvalidInputError(f"The target {target} is no address for a domain entry of type {kind}.")
    return entry


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("name", "type", "target"))


def _number() -> str:
    return str(uuid.uuid4().int % 10**9)
