"""One call of an operation, both ways held against AWS's model."""

from __future__ import annotations

from threading import RLock
from typing import Any

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import LightsailError, UnknownOperationError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import OPERATIONS
from ansible_collections.minato.fleet.tests.aws.lightsail.shapes import check_answer, check_request
from botocore import xform_name

# Calls come in threads; an operation, and who reads its answer, sees the state whole.
ONE_AT_A_TIME = RLock()


def call(cloud: LightsailBackend, name: str, request: Any) -> dict[str, Any]:
    """Answer one call, or raise the refusal; to be read before the lock is let go."""
    if name not in OPERATIONS:
        raise UnknownOperationError(f"The emulated Lightsail has no operation {name}.")
    check_request(name, request)
    cloud.settle()
    answer = OPERATIONS[name](cloud, **{xform_name(key): value for key, value in request.items() if value is not None})
    try:
        check_answer(name, answer)
    except TypeError as error:
        raise LightsailError(str(error)) from error
    return answer
