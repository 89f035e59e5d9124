"""Target groups that take their time: moto's own are healthy, and gone, at once."""

from __future__ import annotations

from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.models import clock
from ansible_collections.minato.fleet.tests.aws.settings import SETTINGS

Target = dict[str, Any]

BEGINNING = "initial", "Elb.InitialHealthChecking", "Initial health checks in progress"
FAILING = "unhealthy", "Target.FailedHealthChecks", "Health checks failed"
DRAINING = "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"


def take_time(account: str, region: str, arn: str, failing: list[str]) -> None:
    """Let the targets of a group be initial, and draining, for the settable delay, and some of them never healthy."""
    # Here, because their import takes a second.
    from moto.elbv2.exceptions import InvalidTargetError
    from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup, elbv2_backends

    class TargetGroup(FakeTargetGroup):
        begun: dict[str, float]
        leaving: dict[str, float]

        @property
        def targets(self) -> dict[str, Target]:
            """Those that are registered, and those that are still on their way out."""
            held: dict[str, Target] = self.__dict__["targets"]
            for name in [name for name, due in self.leaving.items() if due <= clock()]:
                self.deregistered_targets[name] = held.pop(name)
                del self.leaving[name]
            return held

        @targets.setter
        def targets(self, held: dict[str, Target]) -> None:
            self.__dict__["targets"] = held

        def register(self, targets: list[Target]) -> None:
            """Begin to ask them for their health; those that were on their way out are not any more."""
            if any(not self.ec2_backend.get_instance_by_id(target["Id"]) for target in targets):
                raise InvalidTargetError
            super().register(targets)
            for target in targets:
                self.leaving.pop(target["Id"], None)
                self.begun[target["Id"]] = clock() + SETTINGS.delay

        def deregister(self, targets: list[Target]) -> None:
            """Let them end what they were asked."""
            gone = [target for target in targets if target["Id"] not in self.targets]
            super().deregister(gone)  # which refuses
            for target in targets:
                self.leaving[target["Id"]] = clock() + SETTINGS.delay

        def health_for(self, target: Target, ec2_backend: Any) -> Any:
            """Return how a target is."""
            told = super().health_for(target, ec2_backend)
            name = target["Id"]
            if name in self.leaving:
                state = DRAINING
            elif told.status != "healthy" or (self.begun.get(name, 0) <= clock() and name not in failing):
                return told
            else:
                state = BEGINNING if self.begun.get(name, 0) > clock() else FAILING
            return FakeHealthStatus(name, told.port, told.health_check_port, *state)

    group: Any = elbv2_backends[account][region].target_groups[arn]
    group.__class__ = TargetGroup
    group.begun, group.leaving = {}, {}
