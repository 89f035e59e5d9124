# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cloud's whole answer: what came, what is missing, and what stands in for it."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.minato.fleet.plugins.plugin_utils import aws_build, aws_clients, aws_fetch, aws_plan
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_cache import Kept, Result
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_constructed import Room
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import InventoryError, Options

# Where the last good answer may stand in.
AWAY = ("silent", "throttled", "other")


def asked(display: t.Any, options: Options, room: Room, kept: Result | None, now: float) -> Result:
    """Ask the cloud; where it does not answer, what was kept may do."""
    result = Result(at=now)
    warnings: list[str] = []
    try:
        cloud = aws_clients.Cloud(options, aws_build.wanted(options), "minato.fleet")
        try:
            work = aws_plan.plan(cloud, options, warnings)
        except aws_clients.CallError as trouble:
            # Not even the list of regions is to be had: the whole last answer may do.
            standing = _all_kept(kept, options, now) if trouble.kind in AWAY else None
            if standing is None:
                raise
            return standing
        outcomes = aws_fetch.fetch(cloud, work, options)
        answered = time.time()
        if options.route53_enabled:
            for account in options.accounts:
                room.route53.update(aws_fetch.route53_names(cloud.ask(account, "ec2", "us-east-1"), options))
        troubles = []
        for outcome in outcomes:
            name = str(outcome.work)
            warnings += [warning for warning in outcome.warnings if warning not in warnings]
            display.vv(f"{name}: {outcome.seconds:.2f} s")
            if outcome.part is not None:
                built = aws_build.build(outcome.part, room)
                warnings += built.warnings
                troubles += built.problems
                result.parts[name] = Kept(now, built.hosts)
                result.order.append(name)
            elif outcome.trouble is not None:
                stand_in = _kept(kept, name, options, now) if outcome.trouble.kind in AWAY else None
                if stand_in is not None:
                    result.parts[name] = stand_in
                    result.order.append(name)
                elif outcome.trouble.kind == "forbidden" and not options.strict_permissions:
                    display.vv(f"{name} is left out: {outcome.trouble}")
                else:
                    troubles.append(str(outcome.trouble))
                    result.at = 0.0
                    if kept and name in kept.parts:
                        # Not for this run, but not to be forgotten either.
                        result.parts[name] = kept.parts[name]
    except aws_clients.CallError as trouble:
        raise InventoryError(str(trouble)) from None
    slow = room.expressions.slow
    took = f"asked {answered - now:.2f} s, built {time.time() - answered:.2f} s"
    display.vv(f"aws_fleet: {took}, {slow} evaluations by Jinja")
    for warning in warnings:
        display.warning(warning)
    _judge(troubles, options, display)
    return result


def _judge(troubles: list[str], options: Options, display: t.Any) -> None:
    found = list(dict.fromkeys(troubles))
    if found and options.on_error == "fail":
        more = f" ({len(found) - 1} more of the kind; -vv shows them)" if len(found) > 1 else ""
        for trouble in found[1:]:
            display.vv(trouble)
        raise InventoryError(found[0] + more)
    for trouble in found:
        display.warning(trouble)


def _kept(kept: Result | None, name: str, options: Options, now: float) -> Kept | None:
    part = kept.parts.get(name) if kept else None
    if part is None or now - part.at > options.stale_ok:
        return None
    return Kept(part.at, part.hosts, stale=True)


def _all_kept(kept: Result | None, options: Options, now: float) -> Result | None:
    parts = {name: _kept(kept, name, options, now) for name in (kept.order if kept else [])}
    found = {name: part for name, part in parts.items() if part is not None}
    return Result(now, found, list(found)) if found and len(found) == len(parts) else None
