"""Holds requests and answers against botocore's model of Lightsail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import botocore.session
from ansible_collections.minato.fleet.tests.aws.lightsail.errors import InvalidInputError, SerializationFailureError
from botocore import xform_name
from botocore.model import OperationModel, Shape

SERVICE = botocore.session.get_session().get_service_model("lightsail")
# snake_case, as operations are written here, to the model's name.
NAMES: dict[str, str] = {xform_name(name): name for name in SERVICE.operation_names}

_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, datetime),
    "blob": (str, bytes),
}


# What AWS answers although its model does not say so.
BEYOND_THE_MODEL: dict[str, frozenset[str]] = {
    "PortAccessType": frozenset({"public", "private"}),
    "RelationalDatabaseEngine": frozenset({"postgres"}),
    "OperationType": frozenset(SERVICE.operation_names),
}
_NUMBERS = ("integer", "long", "float", "double")


class Problem(NamedTuple):
    """One rule broken: `readable` is false where the value is not even of the right type."""

    readable: bool
    message: str


def operation_model(name: str) -> OperationModel:
    """Return what the model knows of an operation."""
    return SERVICE.operation_model(name)


def parameters(operation: str) -> dict[str, bool]:
    """Return an operation's parameters in snake_case, and whether each is required."""
    shape = operation_model(operation).input_shape
    return {xform_name(name): name in shape.required_members for name in shape.members}


def problems(shape: Shape, value: Any, path: str = "", asked: bool = True) -> Iterator[Problem]:
    """Name every rule that a value breaks, in the words of AWS where it has words for it.

    Not asked but answered, it may break the rules that AWS's own answers break: patterns, and some sets of values.
    """
    fits: bool = isinstance(value, _TYPES[shape.type_name])
    if not fits or (shape.type_name != "boolean" and isinstance(value, bool)):
        yield Problem(False, f"{type(value).__name__} can not be converted to {shape.type_name} at '{path}'")
    elif shape.type_name == "structure":
        for name in sorted(set(value) - set(shape.members)):
            yield Problem(True, f"Unknown parameter '{_join(path, name)}', must be one of: {', '.join(shape.members)}")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from problems(member, value[name], _join(path, name), asked)
            elif name in shape.required_members:
                yield _constraint(None, _join(path, name), "Member must not be null")
    elif shape.type_name == "list":
        for number, item in enumerate(value, 1):
            yield from problems(shape.member, item, f"{path}.{number}.member", asked)
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from problems(shape.value, item, _join(path, key), asked)
    elif shape.type_name == "string":
        yield from _string_problems(shape, value, path, asked)
    elif shape.type_name in _NUMBERS:
        yield from _number_problems(shape, value, path)


def _number_problems(shape: Shape, value: float, path: str) -> Iterator[Problem]:
    limits = shape.metadata
    if value < limits.get("min", value):
        yield _constraint(str(value), path, f"Member must have value greater than or equal to {limits['min']}")
    if value > limits.get("max", value):
        yield _constraint(str(value), path, f"Member must have value less than or equal to {limits['max']}")


def _string_problems(shape: Shape, value: str, path: str, asked: bool) -> Iterator[Problem]:
    limits = shape.metadata
    beyond = frozenset() if asked else BEYOND_THE_MODEL.get(shape.name, frozenset())
    if shape.enum and value not in shape.enum and value not in beyond:
        yield _constraint(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
    if asked and "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        yield _constraint(value, path, f"Member must satisfy regular expression pattern: {limits['pattern']}")
    if len(value) < limits.get("min", 0):
        yield _constraint(value, path, f"Member must have length greater than or equal to {limits['min']}")
    if len(value) > limits.get("max", len(value)):
        yield _constraint(value, path, f"Member must have length less than or equal to {limits['max']}")


def check_request(operation: str, request: Any) -> None:
    """Refuse a request as AWS does."""
    found = list(problems(operation_model(operation).input_shape, request))
    unreadable = [problem.message for problem in found if not problem.readable]
    if unreadable:
        raise SerializationFailureError(unreadable[0])
    if found:
        plural = "error" if len(found) == 1 else "errors"
        raise InvalidInputError(
            f"{len(found)} validation {plural} detected: " + "; ".join(problem.message for problem in found)
        )


def check_answer(operation: str, answer: Any) -> None:
    """Refuse an answer that AWS would not give."""
    found = list(problems(operation_model(operation).output_shape, answer, asked=False))
    if found:
        raise TypeError(f"{operation} answered what the model does not allow: {'; '.join(m for _readable, m in found)}")


def _constraint(value: str | None, path: str, rule: str) -> Problem:
    shown = "null" if value is None else f"'{value}'"
    return Problem(True, f"Value {shown} at '{path}' failed to satisfy constraint: {rule}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
