# Written by the role minato.fleet.certbot.
"""certbot's hook for DNS-01: keeps the TXT records of challenges in Route 53 or in Lightsail's DNS.

acme_dns.py auth      adds the value that certbot names in its environment, and after the last one waits
acme_dns.py cleanup   takes that value away again, and no other
acme_dns.py check NAME...   adds a value for each name and takes it away: what is wrong is told before an authority asks

Settings: /etc/letsencrypt/acme_dns.json; credentials: /etc/letsencrypt/acme_dns.env, or the instance's role.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

SETTINGS = Path("/etc/letsencrypt/acme_dns.json")
CREDENTIALS = Path("/etc/letsencrypt/acme_dns.env")
LIMIT = 300


class HookError(Exception):
    """What a person has to read."""


class Route53:
    """Zones in Route 53. A name's values are one record set, so they are read, and written whole."""

    def __init__(self, client: Callable[..., Any]) -> None:
        self._api = client("route53", region_name="us-east-1")

    def zones(self) -> list[tuple[str, str]]:
        """Names and ids of the zones that the world sees."""
        pages = self._api.get_paginator("list_hosted_zones").paginate()
        found = [zone for page in pages for zone in page["HostedZones"] if not zone["Config"]["PrivateZone"]]
        return [(zone["Name"].rstrip("."), zone["Id"]) for zone in found]

    def add(self, zone: str, name: str, value: str) -> Callable[[], bool]:
        """Add a value; return what tells whether every name server has it."""
        found = self._find(zone, name)
        values = [record["Value"] for record in (found or {}).get("ResourceRecords", [])]
        return self._change(zone, "UPSERT", _record_set(name, [*values, *({value} - set(values))]))

    def remove(self, zone: str, name: str, value: str) -> None:
        """Remove a value, and the record set with its last one."""
        found = self._find(zone, name)
        values = [record["Value"] for record in (found or {}).get("ResourceRecords", [])]
        if found and values == [value]:
            self._change(zone, "DELETE", found)
        elif value in values:
            self._change(zone, "UPSERT", _record_set(name, [other for other in values if other != value]))

    def _find(self, zone: str, name: str) -> dict[str, Any] | None:
        answer = self._api.list_resource_record_sets(
            HostedZoneId=zone, StartRecordName=name, StartRecordType="TXT", MaxItems="1"
        )
        for found in answer["ResourceRecordSets"]:
            if found["Name"].rstrip(".") == name and found["Type"] == "TXT":
                return dict(found)
        return None

    def _change(self, zone: str, action: str, record_set: dict[str, Any]) -> Callable[[], bool]:
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record_set}]}
        change = self._api.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]["Id"]
        return lambda: bool(self._api.get_change(Id=change)["ChangeInfo"]["Status"] == "INSYNC")


class Lightsail:
    """Zones in Lightsail, which keeps each value as an entry of its own. Their API is in one region."""

    def __init__(self, client: Callable[..., Any]) -> None:
        self._api = client("lightsail", region_name="us-east-1")

    def zones(self) -> list[tuple[str, str]]:
        """Names of the zones, twice: the name is the id."""
        pages = self._api.get_paginator("get_domains").paginate()
        return [(domain["name"], domain["name"]) for page in pages for domain in page["domains"]]

    def add(self, zone: str, name: str, value: str) -> Callable[[], bool]:
        """Add a value; return what tells whether Lightsail has done it."""
        entry = {"name": name, "type": "TXT", "target": value}
        if entry in self._entries(zone):
            return lambda: True
        done = self._api.create_domain_entry(domainName=zone, domainEntry=entry)["operation"]["id"]
        return lambda: self._finished(done)

    def remove(self, zone: str, name: str, value: str) -> None:
        """Remove a value if it is there."""
        entry = {"name": name, "type": "TXT", "target": value}
        if entry in self._entries(zone):
            self._api.delete_domain_entry(domainName=zone, domainEntry=entry)

    def _entries(self, zone: str) -> list[dict[str, str]]:
        found = self._api.get_domain(domainName=zone)["domain"].get("domainEntries", [])
        return [{key: entry[key] for key in ("name", "type", "target")} for entry in found]

    def _finished(self, operation: str) -> bool:
        found = self._api.get_operation(operationId=operation)["operation"]
        if found["status"] == "Failed":
            raise HookError(f"Lightsail failed to add the record: {found.get('errorDetails') or 'it gave no reason'}")
        return bool(found["isTerminal"])


PROVIDERS: dict[str, Any] = {"route53": Route53, "lightsail": Lightsail}


def _record_set(name: str, values: Iterable[str]) -> dict[str, Any]:
    return {"Name": name, "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": value} for value in values]}


def zone_of(name: str, zones: list[tuple[str, str]]) -> str:
    """Return the id of the zone with the longest name that a name lies in."""
    fitting = [(zone, identity) for zone, identity in zones if name == zone or name.endswith("." + zone)]
    longest = max((len(zone) for zone, _identity in fitting), default=0)
    found = [identity for zone, identity in fitting if len(zone) == longest]
    if not found:
        held = ", ".join(sorted(zone for zone, _identity in zones)) or "none at all"
        raise HookError(f"{name} lies in no zone of this account (it holds {held}): create the zone there.")
    if len(found) > 1:
        raise HookError(f"{name} lies in {len(found)} zones of one name ({', '.join(found)}): keep the one in use.")
    return found[0]


def read_environment(path: Path) -> dict[str, str]:
    """Return the variables of an environment file, none if it is not there."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def provider_of(settings: dict[str, Any]) -> Any:
    """Return the provider that the settings name, ready to be asked."""

    def client(service: str, **arguments: Any) -> Any:
        return boto3.client(service, endpoint_url=settings["endpoint_url"] or None, **arguments)

    return PROVIDERS[settings["provider"]](client)


def wait(done: Callable[[], bool]) -> None:
    """Wait until a change is through."""
    deadline = time.monotonic() + LIMIT
    while not done():
        if time.monotonic() > deadline:
            raise HookError(f"The record is not on all name servers {LIMIT} seconds after it was added. Try again.")
        time.sleep(2)


def challenge(domain: str) -> str:
    """Name of a domain's challenge; a wildcard has that of the name below its star."""
    return "_acme-challenge." + (domain[2:] if domain.startswith("*.") else domain)


def auth(provider: Any, settings: dict[str, Any]) -> None:
    """Add what certbot asks for. Only after the last one there is something to wait for: they spread side by side."""
    name, value = challenge(os.environ["CERTBOT_DOMAIN"]), f'"{os.environ["CERTBOT_VALIDATION"]}"'
    wait(provider.add(zone_of(name, provider.zones()), name, value))
    if os.environ.get("CERTBOT_REMAINING_CHALLENGES", "0") == "0":
        time.sleep(settings["propagation"])


def cleanup(provider: Any) -> None:
    """Take away what auth added."""
    name, value = challenge(os.environ["CERTBOT_DOMAIN"]), f'"{os.environ["CERTBOT_VALIDATION"]}"'
    provider.remove(zone_of(name, provider.zones()), name, value)


def check(provider: Any, domains: Iterable[str]) -> None:
    """Do for each domain what auth and cleanup will do."""
    zones = provider.zones()
    for name in sorted({challenge(domain) for domain in domains}):
        zone, value = zone_of(name, zones), f'"check-{os.urandom(8).hex()}"'
        provider.add(zone, name, value)
        provider.remove(zone, name, value)


def main() -> None:
    settings = json.loads(SETTINGS.read_text(encoding="utf-8"))
    # certbot's own authority may have a CA of its own, which AWS has not.
    os.environ.pop("REQUESTS_CA_BUNDLE", None)
    os.environ.update(read_environment(CREDENTIALS))
    action = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        provider = provider_of(settings)
        if action == "auth":
            auth(provider, settings)
        elif action == "cleanup":
            cleanup(provider)
        elif action == "check":
            check(provider, sys.argv[2:])
        else:
            raise HookError("usage: acme_dns.py auth | cleanup | check NAME...")
    except (HookError, BotoCoreError, ClientError) as error:
        sys.exit(f"{settings['provider']}: {error}")


if __name__ == "__main__":
    main()
