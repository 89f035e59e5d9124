# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asking every service of every region, and what comes of it."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ansible_collections.minato.fleet.plugins.plugin_utils import aws_names
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_clients import Ask, CallError, Cloud
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_details import DETAILS
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_facts import Facts, snake
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_machines import Part
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import Filter, Options
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_pages import api_filters, at_once, lightsail, pages
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_plan import Work

# EC2 allows 1000; what the parser makes of a page takes twenty times its text.
EC2_PAGE = 500
# Filters of RDS that its API knows; others are worked out here.
RDS_FILTERS = ("db-cluster-id", "db-instance-id", "dbi-resource-id", "domain", "engine")


@dataclass
class Outcome:
    """A part, or the trouble that was in its way; what was left out by the way are warnings."""

    work: Work
    part: Part | None = None
    trouble: CallError | None = None
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0


def fetch(cloud: Cloud, work: list[Work], options: Options) -> list[Outcome]:
    """Ask everything, and return what came of it in the order of the work."""

    def do(one: Work) -> Outcome:
        began = time.monotonic()
        outcome = Outcome(one)
        try:
            outcome.part = collect(one, cloud.ask(one.account, one.service, one.region), options, outcome.warnings)
        except CallError as trouble:
            outcome.trouble = trouble
        outcome.seconds = time.monotonic() - began
        return outcome

    outcomes = []
    for one, result in at_once(work, do, options.workers, options.region_timeout):
        if isinstance(result, TimeoutError):
            say = f"{one} does not answer within {options.region_timeout:g} s."
            trouble = CallError("silent", f"{say} Check the network, raise region_timeout, or write on_error: warn.")
            outcomes.append(Outcome(one, trouble=trouble, seconds=options.region_timeout))
        elif isinstance(result, Exception):
            raise result
        else:
            outcomes.append(result)
    return outcomes


def collect(work: Work, ask: Ask, options: Options, warnings: list[str]) -> Part:
    """Everything about one service of one region."""
    records = list(_LISTS[work.service](ask, options))
    part = Part(work.service, work.account.name, work.region, records)
    for kind, detail in DETAILS[work.service]:
        if not records:
            break
        try:
            found = detail(ask, options, records)
        except CallError as trouble:
            # Hosts without their prices are better than no hosts.
            if trouble.kind not in ("forbidden", "other"):
                raise
            warnings.append(f"{str(trouble).split('. ', maxsplit=1)[0]}. Its hosts lack what that call tells ({kind}).")
            continue
        if found is not None:
            part.details[kind] = found
    return part


def _instances(ask: Ask, options: Options) -> Iterator[Facts]:
    more = {"includeHealthStatus": True} if options.health else {}
    return lightsail(ask, "get_instances", "instances", **more)


def _databases(ask: Ask, _options: Options) -> Iterator[Facts]:
    return lightsail(ask, "get_relational_databases", "relationalDatabases")


def _rds(ask: Ask, options: Options) -> Iterator[Facts]:
    filters = api_filters({name: one for name, one in options.filters["rds"].items() if name in RDS_FILTERS})
    for page in pages(ask, "describe_db_instances", "Marker", "Marker", **({"Filters": filters} if filters else {})):
        yield from (snake(item) for item in page["DBInstances"])


def ec2_queries(options: Options) -> list[Filter]:
    """The filters of each query. Where all can be worked out here, one query does for any number of them."""
    own = options.filters["ec2"]
    asked = [*([own] if own else []), *options.include_filters] or [{}]
    if len(asked) > 1 and all(aws_names.known_here(name) for one in asked for name in one):
        asked = [{aws_names.STATES: sorted({state for one in asked for state in _states(one, options)})}]
    return [
        {
            **{name: one for name, one in each.items() if aws_names.asks_api(name)},
            aws_names.STATES: _states(each, options),
        }
        for each in asked
    ]


def _states(filters: Filter, options: Options) -> list[str]:
    return filters.get(aws_names.STATES) or aws_names.states(options)


def _ec2(ask: Ask, options: Options) -> Iterator[Facts]:
    unwanted: set[str] = set()
    for filters in options.exclude_filters:
        if not all(map(aws_names.known_here, filters)):
            unwanted |= {facts["instance_id"] for facts in _described(ask, filters)}
    for filters in ec2_queries(options):
        for facts in _described(ask, filters):
            if facts["instance_id"] not in unwanted:
                unwanted.add(facts["instance_id"])
                yield facts


def _described(ask: Ask, filters: Filter) -> Iterator[Facts]:
    asked = api_filters(filters)
    for page in pages(ask, "describe_instances", "NextToken", "NextToken", Filters=asked, MaxResults=EC2_PAGE):
        yield from page["Facts"]


_LISTS: dict[str, Callable[[Ask, Options], Iterator[Facts]]] = {
    "lightsail": _instances,
    "lightsail_database": _databases,
    "ec2": _ec2,
    "rds": _rds,
}


def route53_names(ask: Ask, options: Options) -> dict[str, list[str]]:
    """By address or name that a record leads to: the names of the records."""
    excluded = [zone.rstrip(".") for zone in options.route53_excluded_zones]
    found: dict[str, set[str]] = {}
    for page in pages(ask, "list_hosted_zones", "Marker", "NextMarker", api="route53"):
        for zone in page["HostedZones"]:
            if zone["Name"].rstrip(".") not in excluded:
                for record in _records(ask, zone["Id"]):
                    name = record["Name"].rstrip(".")
                    if not options.route53_hostnames or name.endswith(options.route53_hostnames):
                        for target in record.get("ResourceRecords") or []:
                            found.setdefault(target["Value"].rstrip("."), set()).add(name)
    return {target: sorted(names) for target, names in found.items()}


def _records(ask: Ask, zone: str) -> Iterator[dict[str, t.Any]]:
    given: dict[str, str] = {}
    while True:
        page = ask("list_resource_record_sets", api="route53", HostedZoneId=zone, **given)
        yield from page["ResourceRecordSets"]
        if not page.get("IsTruncated"):
            return
        begin = {"Name": "StartRecordName", "Type": "StartRecordType", "Identifier": "StartRecordIdentifier"}
        given = {key: page[f"NextRecord{name}"] for name, key in begin.items() if page.get(f"NextRecord{name}")}
