"""Lightsail's errors, as its service model names them and with the further code that it sends beside the name."""

from __future__ import annotations


class LightsailError(Exception):
    """One refusal: `name` is the exception's name in the model, `code` Lightsail's finer one."""

    name = "ServiceException"
    status = 500
    code = "InternalFailure"

    def __init__(self, message: str, code: str = "", tip: str = "") -> None:
        super().__init__(message)
        self.code = code or self.code
        self.tip = tip

    def body(self) -> dict[str, str]:
        """The answer's body."""
        docs = "https://docs.aws.amazon.com/lightsail/"
        return {"__type": self.name, "code": self.code, "docs": docs, "message": str(self), "tip": self.tip}


class InvalidInputError(LightsailError):
    """The request breaks a rule."""

    name, status, code = "InvalidInputException", 400, "InvalidInput"


class NotFoundError(LightsailError):
    """There is no such resource."""

    name, status, code = "NotFoundException", 400, "DoesNotExist"


class OperationFailureError(LightsailError):
    """The resource is in no state for this."""

    name, status, code = "OperationFailureException", 400, "OperationFailed"


class SerializationFailureError(LightsailError):
    """The body cannot be read as what the model says."""

    name, status, code = "SerializationException", 400, "SerializationException"


class UnknownOperationError(LightsailError):
    """There is no such operation, or none yet."""

    name, status, code = "UnknownOperationException", 400, "UnknownOperation"
