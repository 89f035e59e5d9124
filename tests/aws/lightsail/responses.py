"""From HTTP to an operation and back, both ways held against AWS's model."""

from __future__ import annotations

import json
from threading import RLock

from ansible_collections.minato.fleet.tests.aws.lightsail.errors import (
    LightsailError,
    SerializationFailureError,
    UnknownOperationError,
)
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, lightsail_backends
from ansible_collections.minato.fleet.tests.aws.lightsail.operations import OPERATIONS
from ansible_collections.minato.fleet.tests.aws.lightsail.shapes import check_answer, check_request
from botocore import xform_name
from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult, BaseResponse

# Calls come in threads; an operation sees the state whole.
_ONE_AT_A_TIME = RLock()


class LightsailResponse(BaseResponse):
    """Every call of every operation."""

    def __init__(self) -> None:
        super().__init__(service_name="lightsail")

    @property
    def backend(self) -> LightsailBackend:
        """The state of the caller's account and region."""
        return lightsail_backends[self.current_account][self.region]

    def call_action(self) -> TYPE_RESPONSE:
        """Answer one call."""
        try:
            return self.serialized(ActionResult(self._answer()))
        except LightsailError as error:
            headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": error.name}
            return error.status, {**self.response_headers, **headers}, json.dumps(error.body())

    def _answer(self) -> object:
        name = self._get_action()
        if name not in OPERATIONS:
            raise UnknownOperationError(f"The emulated Lightsail has no operation {name}.")
        try:
            request = json.loads(self.body or "{}")
        except ValueError as error:
            raise SerializationFailureError("The body is no JSON.") from error
        check_request(name, request)
        with _ONE_AT_A_TIME:
            given = {xform_name(key): value for key, value in request.items() if value is not None}
            answer = OPERATIONS[name](self.backend, **given)
            try:
                check_answer(name, answer)
            except TypeError as error:
                raise LightsailError(str(error)) from error
        return answer
