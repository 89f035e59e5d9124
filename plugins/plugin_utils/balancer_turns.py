# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An instance's turn out of its load balancer: it leaves while others serve, and comes back until it is healthy."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
import typing as t
from collections.abc import Callable, Iterator

from ansible_collections.minato.fleet.plugins.plugin_utils.aws_clients import CallError
from ansible_collections.minato.fleet.plugins.plugin_utils.balancers import Balancer, BalancerError, State, Target

LOCKS = "~/.cache/minato.fleet/balancers"
OUT = State("not in it", "")


class Pace(t.NamedTuple):
    """Seconds: between two questions, that open connections get, and that an instance gets to be healthy."""

    delay: float
    drain: float
    timeout: float


class Turn(t.NamedTuple):
    """Whether anything changed, whether the instance is out now, a sentence about it, and whether to warn with it."""

    changed: bool
    out: bool
    said: str
    warns: bool = False


def leave(balancer: Balancer, instance: str, marked: bool, pace: Pace, mark: Callable[[], None] | None) -> Turn:
    """Take an instance out, unless nobody is sent to it anyway or it is the last that is healthy.

    Args:
        marked: Whether an earlier run took it out and did not come to put it back.
        mark: Writes down that it is about to be taken out. None to foretell what would happen.

    Raises:
        BalancerError: It is none of the balancer's instances, or the balancer goes on sending requests to it.
        CallError: AWS does not answer, or refuses.
    """
    target = balancer.target(instance)
    with _alone(str(balancer)):
        states = balancer.states()
        own = states.get(target, OUT)
        if _is_out(own):
            if not marked:
                raise BalancerError(_no_instance(balancer, target, states))
            return Turn(False, True, f"{instance} is out of {balancer} since a run that was stopped.")
        if own.health != "healthy":
            return Turn(False, False, f"{instance} stays in {balancer}, which sends nobody there: it is {own}.", True)
        if not any(state.health == "healthy" for other, state in states.items() if other.instance != instance):
            several = any(other.instance != instance for other in states)
            return Turn(False, False, f"{instance} stays in {balancer}: no other instance of it is healthy.", several)
        if mark is None:
            return Turn(True, True, f"{instance} would leave {balancer}.")
        mark()
        balancer.take_out(target)
        _wait_out(balancer, target, pace)
    _wait_drained(balancer, target, pace)
    return Turn(True, True, f"{instance} has left {balancer}.")


def come_back(balancer: Balancer, instance: str, pace: Pace) -> Turn:
    """Put an instance back, and wait until the balancer calls it healthy.

    Raises:
        BalancerError: It is not healthy in time, or there is no such instance.
        CallError: AWS does not answer, or refuses.
    """
    target = balancer.target(instance)
    until = time.monotonic() + pace.timeout
    put, seen, refusal = False, [], ""
    while True:
        own = balancer.states().get(target, OUT)
        seen.append(str(own))
        if own.health == "healthy":
            return Turn(put, False, f"{instance} is healthy in {balancer}.")
        if not put and _is_out(own):
            try:
                balancer.put_in(target)
                put, refusal = True, ""
            except CallError as error:
                # It may take no instance that it is still about to let go.
                if error.code != "OperationFailureException":
                    raise
                refusal = f" {error}"
        if time.monotonic() >= until:
            raise BalancerError(
                f"{balancer} did not call {instance} healthy within {pace.timeout:g} s. It was"
                f" {', then '.join(_changes(seen))}.{refusal} Ask on the host what the balancer's health check asks,"
                " mend it, and run again: that waits for it once more."
            )
        time.sleep(pace.delay)


def _is_out(state: State) -> bool:
    return state.health in (OUT.health, "draining") or state.reason.endswith(".NotRegistered")


def _no_instance(balancer: Balancer, target: Target, states: t.Mapping[Target, State]) -> str:
    ports = sorted(str(other.port) for other in states if other.instance == target.instance and other != target)
    if ports:
        return f"{target.instance} is in {balancer} at port {' and '.join(ports)}, not {target.port}. Write the port."
    others = ", ".join(sorted({other.instance for other in states})) or "none"
    return (
        f"{target.instance} is not an instance of {balancer}, whose instances are: {others}."
        " Attach it there first, or correct its name."
    )


def _wait_out(balancer: Balancer, target: Target, pace: Pace) -> None:
    """Wait until the balancer itself says so: then it does not count as healthy for the next that wants to leave."""
    until = time.monotonic() + pace.timeout
    while balancer.states().get(target, OUT).health == "healthy":
        if time.monotonic() >= until:
            raise BalancerError(
                f"{balancer} still calls {target.instance} healthy {pace.timeout:g} s after it was taken out."
                " Look at it in the console, and run again."
            )
        time.sleep(pace.delay)


def _wait_drained(balancer: Balancer, target: Target, pace: Pace) -> None:
    """Wait until it is gone; no longer than open connections get, for AWS says "draining" for its whole delay."""
    until = time.monotonic() + pace.drain
    while time.monotonic() < until and target in balancer.states():
        time.sleep(min(pace.delay, max(0.0, until - time.monotonic())))


@contextlib.contextmanager
def _alone(balancer: str) -> Iterator[None]:
    """One at a time on this machine: two that leave at once would each count on the other."""
    directory = os.path.expanduser(LOCKS)
    os.makedirs(directory, 0o700, exist_ok=True)
    name = hashlib.sha256(balancer.encode()).hexdigest()[:16]
    with open(os.path.join(directory, f"{name}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _changes(seen: list[str]) -> list[str]:
    return [state for number, state in enumerate(seen) if number == 0 or state != seen[number - 1]]
