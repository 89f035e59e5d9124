# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Load balancers of Lightsail and target groups of EC2, in one form: how they see their instances, one out, one in."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.minato.fleet.plugins.plugin_utils import aws_clients
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_clients import Ask, CallError
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import Account

REMEDIES = {
    "silent": "Check the network.",
    "forbidden": "Allow it to who runs the playbook.",
    "disabled": "Enable it, or name another region.",
    "throttled": "Run again later.",
}
RETRIES = 4
UNKNOWN = {"NotFoundException", "TargetGroupNotFound", "TargetGroupNotFoundException", "ValidationError"}
NO_INSTANCE = {"NotFoundException", "InvalidTarget", "InvalidTargetException"}


class BalancerError(Exception):
    """What cannot be done, in a sentence."""


class Target(t.NamedTuple):
    """An instance as a balancer has it; port 0 where that is the balancer's own affair."""

    instance: str
    port: int


class State(t.NamedTuple):
    """``healthy``, ``initial``, ``unhealthy``, ``draining``, ``unused`` or ``unavailable``, and AWS's word for why."""

    health: str
    reason: str

    def __str__(self) -> str:
        return f"{self.health} ({self.reason})" if self.reason else self.health


class Balancer(t.Protocol):
    """What a load balancer can be asked. Each call raises CallError or BalancerError."""

    def target(self, instance: str) -> Target:
        """How it has an instance."""

    def states(self) -> dict[Target, State]:
        """How it sees each of its instances."""

    def take_out(self, target: Target) -> None:
        """Send nobody there any more; those who are there may end what they began."""

    def put_in(self, target: Target) -> None:
        """Send requests there again, once it is healthy."""


class LightsailBalancer:
    """A load balancer of Lightsail. It has no more than one port of an instance."""

    def __init__(self, ask: Ask, name: str, region: str) -> None:
        self._ask, self._name, self._region = ask, name, region

    def __str__(self) -> str:
        return f"the load balancer {self._name} of Lightsail in {self._region}"

    def target(self, instance: str) -> Target:
        return Target(instance, 0)

    def states(self) -> dict[Target, State]:
        try:
            held = self._ask("get_load_balancer", loadBalancerName=self._name)["loadBalancer"]
        except CallError as error:
            raise _unknown(error, self, UNKNOWN) from error
        return {
            Target(entry["instanceName"], 0): State(entry["instanceHealth"], entry.get("instanceHealthReason", ""))
            for entry in held.get("instanceHealthSummary", [])
        }

    def take_out(self, target: Target) -> None:
        self._ask("detach_instances_from_load_balancer", loadBalancerName=self._name, instanceNames=[target.instance])

    def put_in(self, target: Target) -> None:
        try:
            self._ask("attach_instances_to_load_balancer", loadBalancerName=self._name, instanceNames=[target.instance])
        except CallError as error:
            raise _unknown_instance(error, self, target) from error


class TargetGroup:
    """A target group of EC2, by its name or its ARN. Of an instance it has each port as a target of its own.

    Args: port: The instance's, 0 for the group's own.
    """

    def __init__(self, ask: Ask, name: str, region: str, port: int) -> None:
        self._ask, self._name, self._region, self._port = ask, name, region, port
        self._arn = ""

    def __str__(self) -> str:
        return f"the target group {self._name} in {self._region}"

    def target(self, instance: str) -> Target:
        self._find()
        return Target(instance, self._port)

    def states(self) -> dict[Target, State]:
        told = self._ask("describe_target_health", TargetGroupArn=self._find())["TargetHealthDescriptions"]
        return {
            Target(one["Target"]["Id"], int(one["Target"].get("Port", 0))): State(
                one["TargetHealth"]["State"], one["TargetHealth"].get("Reason", "")
            )
            for one in told
        }

    def take_out(self, target: Target) -> None:
        self._ask("deregister_targets", TargetGroupArn=self._find(), Targets=[_described(target)])

    def put_in(self, target: Target) -> None:
        try:
            self._ask("register_targets", TargetGroupArn=self._find(), Targets=[_described(target)])
        except CallError as error:
            raise _unknown_instance(error, self, target) from error

    def _find(self) -> str:
        """The group's ARN; with it, its port is known."""
        if not self._arn:
            by = {"TargetGroupArns": [self._name]} if self._name.startswith("arn:") else {"Names": [self._name]}
            try:
                found = self._ask("describe_target_groups", **by)["TargetGroups"][0]
            except CallError as error:
                raise _unknown(error, self, UNKNOWN) from error
            self._arn = found["TargetGroupArn"]
            self._port = self._port or int(found.get("Port", 0))
        return self._arn


def _described(target: Target) -> dict[str, t.Any]:
    return {"Id": target.instance, "Port": target.port}


def _unknown(error: CallError, balancer: object, codes: set[str]) -> Exception:
    if error.code not in codes:
        return error
    said = f"There is no such load balancer: {balancer} ({error.code})."
    return BalancerError(f"{said} Write its name as the console shows it, and its region.")


def _unknown_instance(error: CallError, balancer: object, target: Target) -> Exception:
    if error.code not in NO_INSTANCE:
        return error
    said = f"{target.instance} cannot be put into {balancer}: there is no such instance ({error.code})."
    return BalancerError(f"{said} Write the instance's name in Lightsail, or its id in EC2.")


@dataclass(frozen=True)
class _Patience:
    """How AWS is asked."""

    accounts: tuple[Account, ...]
    region: str
    retries: int
    endpoint_url: str = ""
    workers: int = 1
    timeout: float = 10


def connect(said: t.Mapping[str, t.Any]) -> Balancer:
    """The balancer that some settings name.

    Args:
        said: ``lightsail``, a name, or else ``target_group``, a name or an ARN; the other is None. ``region`` and
            ``profile``, empty for those of the environment; ``port`` of a target group's instance, 0 for the group's.
    """
    account = Account(profile=said["profile"])
    cloud = aws_clients.Cloud(_Patience((account,), said["region"], RETRIES), {}, "minato.fleet", REMEDIES)
    region = cloud.region(account)
    if not region:
        raise BalancerError("No region is named. Write the region of the load balancer.")
    if said["lightsail"]:
        return LightsailBalancer(cloud.ask(account, "lightsail", region), said["lightsail"], region)
    return TargetGroup(cloud.ask(account, "elbv2", region), said["target_group"], region, said["port"])
