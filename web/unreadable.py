"""What is no request: gunicorn refuses it before any application sees it. Told as a problem, too."""

from __future__ import annotations

import socket
from http import HTTPStatus

import structlog
from gunicorn import util
from gunicorn.http import errors as refusals
from gunicorn.http.errors import (  # type: ignore[attr-defined] # its stubs are older
    InvalidResponseHeader,
    InvalidResponseHeaderName,
)
from pydantic_core import to_json

from core import errors
from core.ids import new_id
from web.headers import ALWAYS
from web.problems import TYPE
from web.uploading import linger

log = structlog.get_logger(__name__)

OURS = errors.Problem("an error of ours; the log has the details", code="internal")
TOLD: list[tuple[tuple[type[BaseException], ...], int, errors.Problem]] = [
    ((InvalidResponseHeader, InvalidResponseHeaderName), 500, OURS),
    ((refusals.ConfigurationProblem,), 500, OURS),
    ((refusals.LimitRequestLine,), 414, errors.Invalid("the address is too long", code="uri_too_long")),
    (
        (refusals.LimitRequestHeaders,),
        431,
        errors.Invalid("the headers are too many, or too long", code="headers_too_large"),
    ),
    (
        (refusals.ExpectationFailed,),
        417,
        errors.Invalid("only `100-continue` can be expected", code="expectation_failed"),
    ),
    (
        (refusals.UnsupportedTransferCoding,),  # no header is answered with a 5xx: not 501 (RFC 9112, 6.1)
        400,
        errors.Invalid("the only transfer coding taken is `chunked`", code="malformed"),
    ),
    ((refusals.ParseException,), 400, errors.Invalid("this is not a request of HTTP/1.1", code="malformed")),
    ((BaseException,), 500, OURS),
]
"""The first row that fits. Nothing of what was sent is repeated: a key may be in it."""


def refuse(client: socket.socket, error: BaseException) -> None:
    """Say what is wrong, and nothing more on this connection. Raises `OSError` for a client that has gone."""
    status, problem = next((status, told) for kinds, status, told in TOLD if isinstance(error, kinds))
    request_id = new_id()
    if status == 500:
        log.error("request.crashed", exc_info=error, request_id=request_id)
    else:
        log.warning("request.unreadable", error=type(error).__name__, request_id=request_id)
    body = to_json({**problem.as_dict(), "status": status, "instance": request_id})
    headers = {
        **ALWAYS,
        "Connection": "close",
        "Cache-Control": "no-store",
        "Content-Type": TYPE,
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    util.write_nonblock(client, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    linger(client)
