"""Every refusal in the one shape that the contract gives it."""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Literal
from uuid import uuid4

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from common.errors import (
    BackfillNotFound,
    BusUnavailable,
    CountChanged,
    DeadLetterNotFound,
    LetterExpired,
    MalformedEvent,
    PipelineError,
    ReplayNotFound,
    SinkUnavailable,
)
from common.event import time_of

RETRY_AFTER_S: Final = 5
"""Seconds after which it is worth asking again, where nobody knows better."""

_CODES: Final = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    422: "VALIDATION_ERROR",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}


class Problem(BaseModel):
    """What is wrong: a code for programs, a sentence for people."""

    code: str = Field(examples=["VALIDATION_ERROR"])
    message: str = Field(examples=["limit: Input should be less than or equal to 200"])
    details: dict[str, Any] = Field(examples=[{"errors": [{"field": "limit"}]}])


class Failure(BaseModel):
    """The answer to whatever cannot be done."""

    success: Literal[False] = False
    error: Problem
    timestamp: str = Field(examples=["2026-11-20T15:44:33.435789+00:00"])
    correlation_id: str = Field(examples=["6f1d3a528f0b4c0e9d7a3f6b1c2e4a90"])


class Refusal(HTTPException):
    """A refusal that says its own code.

    Args:
        status: HTTP status.
        message: What to do instead.
        code: For programs; follows from the status when empty.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.code = code or _CODES[status]


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the refusals of a route."""
    return {
        status: {"model": Failure, "description": HTTPStatus(status).phrase} for status in statuses
    }


def answer(  # noqa: PLR0913 - what an answer is made of
    request: Request,
    status: int,
    code: str,
    message: str,
    *,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Make the answer; its correlation id is that of the request."""
    failure = Failure(
        error=Problem(code=code, message=message, details=dict(details or {})),
        timestamp=time_of(time.time_ns() // 1000),
        correlation_id=getattr(request.state, "correlation_id", ""),
    )
    return JSONResponse(failure.model_dump(), status, dict(headers or {}))


def of_refusal(request: Request, error: Exception) -> JSONResponse:
    """Answer a refusal of ours, or of the router: no such page, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - for mypy; registered for this class
    status = error.status_code
    code = error.code if isinstance(error, Refusal) else _CODES.get(status, f"HTTP_{status}")
    message = str(error.detail)
    if not isinstance(error, Refusal) and status in _PLAIN:
        message = _PLAIN[status]
    return answer(request, status, code, message, headers=error.headers)


def of_validation(request: Request, error: Exception) -> JSONResponse:
    """Answer a request whose parameters or body are not what the route takes."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    errors = [{"field": _field(item), "problem": _problem(item)} for item in error.errors()]
    message = "; ".join(f"{item['field']}: {item['problem']}" for item in errors[:5])
    # What stands in the path and cannot be, is not there.
    status = 404 if any(item["loc"][0] == "path" for item in error.errors()) else 422
    return answer(request, status, _CODES[status], message, details={"errors": errors})


def of_pipeline(request: Request, error: Exception) -> JSONResponse:
    """Answer an error that has a name in habus."""
    message = str(error)
    match error:
        case BusUnavailable():
            wait = {"Retry-After": str(RETRY_AFTER_S)}
            return answer(request, 503, "BUS_UNAVAILABLE", message, headers=wait)
        case SinkUnavailable():
            wait = {"Retry-After": str(round(error.retry_after or RETRY_AFTER_S))}
            return answer(request, 503, "SINK_UNAVAILABLE", message, headers=wait)
        case BackfillNotFound() | DeadLetterNotFound() | ReplayNotFound() | LetterExpired():
            return answer(request, *_NAMED[type(error)], message)
        case CountChanged():
            details = {"count": error.count}
            return answer(request, 409, "COUNT_CHANGED", message, details=details)
        case MalformedEvent():
            return answer(request, 422, _CODES[422], message)
        case _:
            # A refused password of Redis, for instance: nothing a caller can mend, but the owner.
            assert isinstance(error, PipelineError)  # noqa: S101 - registered for this class
            wait = {"Retry-After": str(RETRY_AFTER_S)}
            return answer(request, 503, _CODES[503], message, headers=wait)


def without_request(status: int, message: str) -> bytes:
    """Return the body of a refusal for whom sent nothing that could be read."""
    failure = Failure(
        error=Problem(code=_CODES[status], message=message, details={}),
        timestamp=time_of(time.time_ns() // 1000),
        correlation_id=uuid4().hex,
    )
    return failure.model_dump_json().encode()


def of_defect(request: Request) -> JSONResponse:
    """Answer what nobody foresaw; the log has the rest under the correlation id."""
    message = "this is a defect of habus; its log says more under this correlation id"
    return answer(request, 500, _CODES[500], message)


_NAMED: Final[Mapping[type[PipelineError], tuple[int, str]]] = {
    BackfillNotFound: (404, "BACKFILL_NOT_FOUND"),
    DeadLetterNotFound: (404, "DEAD_LETTER_NOT_FOUND"),
    ReplayNotFound: (404, "REPLAY_NOT_FOUND"),
    LetterExpired: (409, "LETTER_EXPIRED"),
}

_NO_JSON: Final = "json_invalid"
"""What pydantic calls a body that cannot be read; its place is then a number."""

_PLAIN: Final = {
    400: "the body is no JSON that can be read",
    404: "there is nothing here; /docs lists what there is",
    405: "this cannot be done here; /docs lists what can",
}


def _field(item: Mapping[str, Any]) -> str:
    place, *rest = item["loc"]
    if item["type"] == _NO_JSON:
        return str(place)
    return ".".join(map(str, rest)) or str(place)


def _problem(item: Mapping[str, Any]) -> str:
    if item["type"] == _NO_JSON:
        return f"no JSON, from character {item['loc'][1]} on: {item['ctx']['error']}"
    if item["loc"] == ("body",) and isinstance(item.get("input"), bytes | str):
        return "must be a JSON object, with the header `Content-Type: application/json`"
    return str(item["msg"]).removeprefix("Value error, ")
