"""The one place where errors become HTTP answers: RFC 9457 problems, with the request's id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
import structlog
from flask import Flask, Response, current_app, g
from pydantic import ValidationError
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WriteError,
)
from werkzeug.exceptions import HTTPException

from core import errors
from core.errors import pointer
from web import unrouted
from web.answers import answer
from web.wording import without_branches, worded

log = structlog.get_logger(__name__)

STATUSES: dict[type[errors.Problem], int] = {
    errors.Invalid: 422,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.BudgetExceeded: 402,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
    errors.StorageFull: 507,
    errors.Problem: 500,
}
CODES = {"malformed": 400, "unsupported_media_type": 415, "body_too_slow": 408}
AWAY = (ConnectionFailure, ExecutionTimeout, WriteConcernError, redis.ConnectionError, redis.TimeoutError)
TYPE = "application/problem+json"
MOST_PLACES = 20
"""Of what is wrong in a body, so many are told. A body of a megabyte can be wrong in a million places."""
MOST_SOUGHT = 10_000
"""Where nobody else is served while pydantic lists them all, of more than so many none is told."""
MOST_TOLD = 5
"""Places that the detail names."""


class PreconditionFailed(errors.Problem):
    code = "precondition_failed"
    title = "The precondition does not hold"


class RangeNotSatisfiable(errors.Problem):
    code = "range_not_satisfiable"
    title = "There is no such part"


def register(app: Flask) -> None:
    """Turn everything that may be raised in a request into a problem, or into what its door makes of it."""
    app.register_error_handler(Exception, lambda error: _of_door()(error))


def respond(error: Exception) -> Response:
    """The problem that an error is told as."""
    for kinds, handle in HANDLERS:
        if isinstance(error, kinds):
            return handle(error)
    return _of_surprise(error)


def of_problem(problem: errors.Problem) -> Response:
    """The answer for one of our own errors; the status by its code, or by the nearest class in the table."""
    by_class = next(STATUSES[kind] for kind in type(problem).__mro__ if kind in STATUSES)
    response = _answer(CODES.get(problem.code, by_class), problem.as_dict())
    if isinstance(problem, errors.Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="vutler"'
    if isinstance(problem, errors.RateLimited):
        response.headers["Retry-After"] = str(problem.retry_after)
    if isinstance(problem, errors.Unavailable):
        response.headers["Retry-After"] = "1"
    return response


def unready(report: dict[str, Any]) -> Response:
    """503 that says which dependency does not answer."""
    wrong = [f"{name}: {said}" for name, said in report["checks"].items() if said != "ok"]
    problem = errors.Unavailable("; ".join(wrong), code="not_ready")
    return _answer(503, {**problem.as_dict(), "checks": report["checks"]})


def precondition_failed() -> Response:
    """412: the file is not the one that the client means."""
    return _answer(412, PreconditionFailed("the file is another").as_dict())


def range_not_satisfiable(size: int) -> Response:
    """416: a file of this size has no such part."""
    response = _answer(416, RangeNotSatisfiable(f"the file has {size} bytes").as_dict())
    response.headers["Content-Range"] = f"bytes */{size}"
    return response


def reject(error: ValidationError) -> Response:
    """For flask-openapi: raise what pydantic found as a problem with pointers; the input is not repeated."""
    raise invalid(error) from None


def invalid(error: ValidationError) -> errors.Invalid:
    """What pydantic found, without the input that it found it in."""
    n = error.error_count()
    found = error.errors(include_url=False, include_input=False) if n <= MOST_SOUGHT else []
    said: dict[str, dict[str, None]] = {}
    for item in found[:MOST_PLACES]:
        said.setdefault(pointer(without_branches(item["loc"])), {})[worded(item)] = None
    places = [{"pointer": place, "detail": " or ".join(words)} for place, words in said.items()]
    told = [_told(place) for place in places[:MOST_TOLD]]
    more = [f"{n} of the values given cannot be used"] if n > MOST_TOLD else []
    return errors.Invalid("; ".join(told + more), errors=places)


@contextmanager
def below(field: str) -> Iterator[None]:
    """The places that an `Invalid` names inside are below this field of the body."""
    try:
        yield
    except errors.Invalid as problem:
        for place in problem.errors:
            place["pointer"] = f"/{field}{place['pointer']}"
        raise


def _told(place: dict[str, str]) -> str:
    """`temperature may be at most 2`; what is wrong with the whole is said alone."""
    name = place["pointer"].removeprefix("/").replace("/", ".")
    return f"{name} {place['detail']}" if name else place["detail"]


def _of_door() -> Callable[[Exception], Any]:
    """How whoever owns this path tells errors, though it has no such route."""
    name = unrouted.owner()
    return current_app.error_handler_spec[name][None].get(Exception, respond) if name else respond


def _of_http(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    status = error.code or 500
    code = (error.name or "error").lower().replace(" ", "_")
    title, detail = error.name, error.description or error.name
    response = _answer(
        status,
        {"type": f"/problems/{code.replace('_', '-')}", "title": title, "detail": detail, "code": code},
    )
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _of_outage(error: PyMongoError | redis.RedisError) -> Response:
    log.warning("request.store_away", error=type(error).__name__)
    return of_problem(errors.Unavailable("a store does not answer; try again"))


def _of_refusal(error: OperationFailure) -> Response:
    """A store that answers, and refuses: its disk is full, its quota used up, or this is an error of ours."""
    log.error("request.store_refused", code=error.code, exc_info=error)
    return of_problem(errors.Unavailable("the store refuses this; the log says why"))


def _of_size(_: DocumentTooLarge) -> Response:
    return of_problem(errors.TooLarge("this is more than can be kept in one piece"))


def _of_surprise(error: Exception) -> Response:
    log.error("request.crashed", exc_info=error)
    return of_problem(errors.Problem("an error of ours; the log has the details", code="internal"))


def _answer(status: int, problem: dict[str, Any]) -> Response:
    g.problem = problem["code"]
    return answer({**problem, "status": status, "instance": g.get("request_id")}, status, as_type=TYPE)


HANDLERS: list[tuple[Any, Callable[[Any], Response]]] = [
    (errors.Problem, of_problem),
    (HTTPException, _of_http),
    (AWAY, _of_outage),
    (DocumentTooLarge, _of_size),
    ((WriteError, BulkWriteError), _of_surprise),
    (OperationFailure, _of_refusal),
]
