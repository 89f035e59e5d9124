"""From HTTP to a call and back."""

from __future__ import annotations

import json
from datetime import datetime

from ansible_collections.minato.fleet.tests.aws.lightsail.calls import ONE_AT_A_TIME, call
from ansible_collections.minato.fleet.tests.aws.lightsail.errors import LightsailError, SerializationFailureError
from ansible_collections.minato.fleet.tests.aws.lightsail.models import LightsailBackend, lightsail_backends
from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import BaseResponse

CONTENT_TYPE = "application/x-amz-json-1.1"


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
        headers = {**self.response_headers, "Content-Type": CONTENT_TYPE}
        try:
            return 200, headers, self._answer()
        except LightsailError as error:
            return error.status, {**headers, "x-amzn-ErrorType": error.name}, json.dumps(error.body())

    def _answer(self) -> str:
        try:
            request = json.loads(self.body or "{}")
        except ValueError as error:
            raise SerializationFailureError("The body is no JSON.") from error
        with ONE_AT_A_TIME:
            return json.dumps(call(self.backend, self._get_action(), request), default=_seconds)


def _seconds(moment: datetime) -> float:
    """Tell a moment as AWS does."""
    return round(moment.timestamp(), 3)
