"""Which function answers which operation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend
from ansible_collections.minato.fleet.tests.aws.lightsail.shapes import NAMES

Operation = Callable[..., dict[str, Any]]
Function = TypeVar("Function", bound=Operation)

OPERATIONS: dict[str, Operation] = {}


def operation(function: Function) -> Function:
    """Let a function answer the operation that bears its name."""
    OPERATIONS[NAMES[function.__name__]] = function
    return function


def domain_operation(function: Function) -> Function:
    """The same for those that AWS answers in one region only."""

    @functools.wraps(function)
    def checked(cloud: LightsailBackend, **arguments: Any) -> dict[str, Any]:
        if cloud.region_name != "us-east-1":
            raise InvalidInputError(
                "Domain-related APIs are only available in the us-east-1 Region. Please set your Region configuration "
                "to us-east-1 to create, view, or edit these resources.",
                code="UnsupportedOperation",
            )
        return function(cloud, **arguments)

    operation(checked)
    return function
