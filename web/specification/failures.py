"""How operations fail: by what they have, and by what their views say."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from web.doors.openai import shape as openai_shape
from web.specification.headers import said

Document = dict[str, Any]

TEXTS = {
    400: "The body is not JSON",
    401: "No key, or one that is not valid",
    402: "A budget or a hard cap is used up; it says which, and when it resets",
    403: "The key's role does not allow this",
    404: "Not there, or another workspace's",
    408: "The body came too slowly",
    409: "The state of the object does not allow this",
    412: "`If-Match` or `If-Unmodified-Since` does not hold",
    413: "Too large",
    415: "Not JSON",
    416: "There is no such part",
    422: "Some of the values cannot be used; `errors` says where",
    424: "The provider refused its key, or its budget is used up",
    429: "Too many requests",
    500: "An error of ours; the log has the details",
    502: "The provider cannot be reached, or is broken",
    503: "A store does not answer; nothing was done",
    504: "The provider took too long",
    507: "The storage is full",
}
KEYED = frozenset({401, 403, 404, 422, 429, 503})
"""422 too: a query that a call does not take is refused."""
WITH_BODY = frozenset({400, 408, 413, 415, 422})
OF_JOBS = frozenset({*openai_shape.STATUSES.values(), 500})
HEADERS = {401: ("WWW-Authenticate",), 416: ("Content-Range",), 429: ("Retry-After",), 503: ("Retry-After",)}
HEADERS_OF_DOOR = ("Retry-After", "X-Job-Id", "X-Ignored", "x-should-retry")
OF_DOOR = "Door"
PROBLEM = "application/problem+json"
SHAPES = {402: "OverLimitProblem", 503: "UnavailableProblem"}
"""Of the problems that say more."""


def of(operation: Document, path: str, fails: frozenset[int]) -> Document:
    """The failures of an operation, as references. `fails`: what its view says, beside what follows."""
    statuses = set(fails) if not operation["security"] else KEYED | fails
    if "requestBody" in operation or _repeatable(operation):
        statuses |= WITH_BODY
    if not is_door(path):
        return {str(status): _reference(status) for status in statuses}
    of_door = {400 if status == 422 else status for status in statuses}
    if "requestBody" in operation:
        of_door |= OF_JOBS
    return {str(status): _reference(status, OF_DOOR) for status in of_door}


def is_door(path: str) -> bool:
    """Does everything below this path fail in OpenAI's shape?"""
    return path.startswith("/v1/")


def responses() -> Document:
    """What `of` refers to."""
    own = {_name(status, ""): _response(status, PROBLEM, SHAPES.get(status, "Problem")) for status in TEXTS}
    door = {_name(status, OF_DOOR): _of_door(status) for status in TEXTS}
    return own | door


def _response(status: int, kind: str, schema: str) -> Document:
    return {
        "description": TEXTS[status],
        "headers": said("X-Request-Id", "RateLimit", "RateLimit-Policy", *HEADERS.get(status, ())),
        "content": {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _of_door(status: int) -> Document:
    response = _response(status, "application/json", "OpenAIError")
    return {**response, "headers": response["headers"] | said(*HEADERS_OF_DOOR)}


def _repeatable(operation: Document) -> bool:
    """An idempotency key is compared with the body, so the body is read."""
    return {"$ref": "#/components/parameters/Idempotency-Key"} in operation.get("parameters", ())


def _reference(status: int, whose: str = "") -> Document:
    return {"$ref": f"#/components/responses/{_name(status, whose)}"}


def _name(status: int, whose: str) -> str:
    return whose + HTTPStatus(status).phrase.title().replace(" ", "")
