# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an inventory file of ``aws_fleet`` says, checked and in one shape."""

from __future__ import annotations

import hashlib
import json
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, fields

SERVICES = ("lightsail", "ec2", "lightsail_database", "rds")
WAYS = ("public_ipv4", "private_ipv4", "ipv6", "dns", "ssm")
DETAILS = ("hardware", "ports", "prices", "snapshots", "disks")
RUNNING = ("running", "pending")
STOPPED = ("stopping", "stopped")

Filter = dict[str, list[str]]


class InventoryError(Exception):
    """What stops the inventory, in a sentence."""


class OptionError(InventoryError):
    """The file says what cannot be meant."""


@dataclass(frozen=True)
class Account:
    """Whose credentials to use; the name is empty for the one account of a file without `accounts`."""

    name: str = ""
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    access_key: str = ""
    secret_key: str = ""
    session_token: str = ""


@dataclass(frozen=True)
class Options:
    """Plain data: no Jinja is left in what is asked for, only in what is worked out of the answers."""

    accounts: tuple[Account, ...]
    services: tuple[str, ...]
    regions: tuple[str, ...]
    region: str
    endpoint_url: str
    filters: dict[str, Filter]
    include_filters: tuple[Filter, ...]
    exclude_filters: tuple[Filter, ...]
    include_stopped: bool
    strict_permissions: bool
    hostnames: tuple[t.Any, ...]
    allow_duplicated_hosts: bool
    connect_with: dict[str, tuple[str, ...]]
    details: frozenset[str]
    health: bool
    known_hosts: str
    known_apps: tuple[str, ...] | None
    full_facts: bool
    built_in_groups: bool
    hostvars_prefix: str
    hostvars_suffix: str
    compose: dict[str, t.Any]
    groups: dict[str, t.Any]
    keyed_groups: tuple[t.Any, ...]
    strict: bool
    leading_separator: bool
    use_ssm_inventory: bool
    route53_enabled: bool
    route53_hostnames: tuple[str, ...]
    route53_excluded_zones: tuple[str, ...]
    on_error: str
    workers: int
    timeout: float
    region_timeout: float
    retries: int
    stale_ok: int

    def digest(self, *further: t.Any) -> str:
        """The key under which a result is kept: what was asked, and by whom. Secrets are no part of it."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        said["details"] = sorted(self.details)
        said["accounts"] = [
            [account.name, account.profile, account.role_arn, account.external_id, account.access_key]
            for account in self.accounts
        ]
        # How long and how often to ask changes no answer.
        for name in ("workers", "timeout", "region_timeout", "retries", "stale_ok", "on_error"):
            del said[name]
        text = json.dumps([said, further], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(raw: Mapping[str, t.Any]) -> Options:
    """From what Ansible read of the file, its environment variables and its defaults."""
    services = _chosen("services", raw["services"] or SERVICES, SERVICES)
    ways = _connect_with(raw["connect_with"])
    hostnames = _list("hostnames", raw["hostnames"])
    for entry in hostnames:
        if not isinstance(entry, (str, dict)):
            raise OptionError(f"hostnames: {entry!r} is neither a text nor a mapping with `name`. Write one of them.")
        if isinstance(entry, dict) and "name" not in entry:
            raise OptionError("hostnames: a mapping lacks `name`. Write name, and prefix and separator if wanted.")
    for number, entry in enumerate(_list("keyed_groups", raw["keyed_groups"]), 1):
        if not isinstance(entry, dict):
            raise OptionError(f"keyed_groups: entry {number} is no mapping. Write key, and prefix if wanted.")
        if entry.get("default_value") is not None and entry.get("trailing_separator") is not None:
            raise OptionError(
                f"keyed_groups: entry {number} has default_value and trailing_separator. Write one of them."
            )
    for name in ("workers", "timeout", "region_timeout"):
        if raw[name] <= 0:
            raise OptionError(f"{name}: {raw[name]} is too small. Write a number above 0.")
    same = {
        name: bool(raw[name])
        for name in (
            *("include_stopped", "strict_permissions", "allow_duplicated_hosts", "health", "full_facts"),
            *("built_in_groups", "strict", "leading_separator", "use_ssm_inventory", "route53_enabled"),
        )
    }
    return Options(
        accounts=_accounts(raw),
        services=services,
        regions=tuple(str(region) for region in _list("regions", raw["regions"])),
        region=str(raw["region"] or ""),
        endpoint_url=str(raw["endpoint_url"] or ""),
        filters=_filters(raw["filters"] or {}),
        include_filters=tuple(
            _filter("include_filters", one) for one in _list("include_filters", raw["include_filters"])
        ),
        exclude_filters=tuple(
            _filter("exclude_filters", one) for one in _list("exclude_filters", raw["exclude_filters"])
        ),
        hostnames=tuple(hostnames),
        connect_with=ways,
        details=frozenset(_chosen("details", raw["details"], DETAILS)),
        known_hosts=str(raw["known_hosts"] or ""),
        known_apps=None if raw["known_apps"] is None else tuple(str(app) for app in raw["known_apps"]),
        hostvars_prefix=str(raw["hostvars_prefix"] or ""),
        hostvars_suffix=str(raw["hostvars_suffix"] or ""),
        compose=raw["compose"] or {},
        groups=raw["groups"] or {},
        keyed_groups=tuple(raw["keyed_groups"] or ()),
        route53_hostnames=tuple(raw["route53_hostnames"] or ()),
        route53_excluded_zones=tuple(raw["route53_excluded_zones"] or ()),
        on_error=raw["on_error"],
        workers=int(raw["workers"]),
        timeout=float(raw["timeout"]),
        region_timeout=float(raw["region_timeout"]),
        retries=int(raw["retries"]),
        stale_ok=int(raw["stale_ok"]),
        **same,
    )


def _list(name: str, value: t.Any) -> list[t.Any]:
    if value is None:
        return []
    if isinstance(value, (str, Mapping)):
        raise OptionError(f"{name}: {value!r} is no list. Write one entry a line, each after a dash.")
    return list(value)


def _chosen(name: str, values: t.Any, known: tuple[str, ...]) -> tuple[str, ...]:
    for value in _list(name, values):
        if value not in known:
            from ansible_collections.minato.fleet.plugins.plugin_utils.schemas import nearest

            near = nearest(str(value), known)
            remedy = f"Write {near}" if near else f"Write one of {', '.join(known)}"
            raise OptionError(f"{name}: {value} is not known. {remedy}.")
    return tuple(one for one in known if one in values)


def _connect_with(value: t.Any) -> dict[str, tuple[str, ...]]:
    """By group, `default` last; each way is tried where the one before has no address."""
    by_group = dict(value) if isinstance(value, Mapping) else {"default": value}
    by_group["default"] = by_group.pop("default", None) or ["public_ipv4", "private_ipv4", "ipv6"]
    ways: dict[str, tuple[str, ...]] = {}
    for group, asked in by_group.items():
        asked = [asked] if isinstance(asked, str) else list(asked)
        _chosen("connect_with", asked, WAYS)
        ways[str(group)] = tuple(asked)
    return ways


def _accounts(raw: Mapping[str, t.Any]) -> tuple[Account, ...]:
    keys = {name: str(raw[name] or "") for name in ("access_key", "secret_key", "session_token")}
    profile, role = str(raw["profile"] or ""), str(raw["assume_role_arn"] or "")
    if not raw["accounts"]:
        # A profile that is asked for by name wins over keys that happen to stand in the environment.
        return (Account(profile=profile, role_arn=role, **({} if profile else keys)),)
    accounts = []
    for number, entry in enumerate(_list("accounts", raw["accounts"]), 1):
        if not isinstance(entry, Mapping) or not (entry.get("profile") or entry.get("role_arn")):
            raise OptionError(f"accounts: entry {number} has neither profile nor role_arn. Write one of them.")
        unknown = sorted(set(entry) - {"name", "profile", "role_arn", "external_id"})
        if unknown:
            raise OptionError(
                f"accounts: entry {number}: {unknown[0]} is not known. Write name, profile, role_arn or external_id."
            )
        own = {key: str(value or "") for key, value in entry.items()}
        own["name"] = own.get("name") or own.get("profile") or own["role_arn"].rsplit(":", 2)[-2]
        # A role is taken on with the profile of its own entry, else with the file's credentials.
        base = {} if own.get("profile") else {"profile": profile} if profile else keys
        accounts.append(Account(**{**base, **own}))
    names = [account.name for account in accounts]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"accounts: two of them are named {name}. Give each a name of its own.")
    return tuple(accounts)


def _filters(value: Mapping[str, t.Any]) -> dict[str, Filter]:
    """By service; filters that name no service hold for each."""
    if not isinstance(value, Mapping):
        raise OptionError(f"filters: {value!r} is no mapping. Write one filter a line: `name: value`.")
    common = _filter("filters", {name: one for name, one in value.items() if name not in SERVICES})
    return {service: {**common, **_filter(f"filters: {service}", value.get(service) or {})} for service in SERVICES}


def _filter(place: str, value: t.Any) -> Filter:
    if not isinstance(value, Mapping):
        raise OptionError(f"{place}: {value!r} is no mapping. Write one filter a line: `name: value`.")
    return {
        str(name): [_text(one) for one in (many if isinstance(many, list) else [many])] for name, many in value.items()
    }


def _text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
