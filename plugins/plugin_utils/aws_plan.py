# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where to ask: accounts, services and regions."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.minato.fleet.plugins.plugin_utils.aws_clients import CallError, Cloud, place
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import Account, Options
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_pages import at_once


@dataclass(frozen=True)
class Work:
    """One service of one region of one account."""

    account: Account
    service: str
    region: str

    def __str__(self) -> str:
        return place(self.account, self.service, self.region)


def plan(cloud: Cloud, options: Options, warnings: list[str]) -> list[Work]:
    """Every service of every region of every account, in order."""
    found: list[Work] = []
    results = at_once(
        options.accounts, lambda one: _regions(cloud, one, options), options.workers, options.region_timeout
    )
    for account, result in results:
        if isinstance(result, Exception):
            raise result
        regions, said = result
        warnings += [say for say in said if say not in warnings]
        for service in options.services:
            found += [Work(account, service, one) for one in regions if not cloud.lacks(service, one)]
    if not found:
        services = " and ".join(options.services)
        raise CallError("other", f"No region of {', '.join(options.regions)} has {services}. Name one that has.")
    return found


def _regions(cloud: Cloud, account: Account, options: Options) -> tuple[list[str], list[str]]:
    """The regions to ask in an account, and what there is to say about others."""
    cloud.session(account)
    if options.regions and "all" not in options.regions:
        return sorted(set(options.regions)), []
    region = cloud.region(account)
    if options.regions:
        return _all_regions(cloud, account, region or "us-east-1")
    if not region:
        raise CallError(
            "other", "No region is named. Write regions: [eu-west-1] or regions: [all], or give the profile a region."
        )
    return [region], []


def _all_regions(cloud: Cloud, account: Account, region: str) -> tuple[list[str], list[str]]:
    try:
        answer = cloud.ask(account, "ec2", region)("describe_regions", AllRegions=True)["Regions"]
    except CallError as trouble:
        if trouble.kind != "forbidden":
            raise
        known = cloud.regions_of("ec2")
        return known, [f"{trouble} Asking the {len(known)} regions that botocore knows."]
    disabled = sorted(one["RegionName"] for one in answer if one.get("OptInStatus") == "not-opted-in")
    whose = f" for account {account.name}" if account.name else ""
    said = [f"Regions left out, because they are not enabled{whose}: {', '.join(disabled)}."] if disabled else []
    return sorted(one["RegionName"] for one in answer if one["RegionName"] not in disabled), said
