"""A request's id and its line in the log."""

from __future__ import annotations

import re
import time
from functools import partial

import structlog
from flask import Flask, Response, g, request

from core.ids import new_id

SANE = re.compile(r"[A-Za-z0-9._:-]{1,100}")
HEADER = "X-Request-Id"
QUIET = frozenset({"health.healthz", "health.readyz", "metrics.metrics"})

log = structlog.get_logger(__name__)


def register(app: Flask) -> None:
    """Give every request an id (the client's, if it sent a sane one) and a line in the log."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    sent = request.headers.get(HEADER, "")
    g.request_id = sent if SANE.fullmatch(sent) else new_id()
    g.began = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    """The line is written once the answer was sent, which it need not wait for; a stream's, as it begins."""
    response.headers[HEADER] = g.request_id
    caller = g.get("caller")
    more = {"problem": g.get("problem"), "key": caller.key_id if caller else None}
    write = partial(
        log.debug if request.endpoint in QUIET else log.info,
        "request",
        method=request.method,
        # The rule, not the path: what stands in a path or a query may be private.
        route=request.url_rule.rule if request.url_rule else None,
        status=response.status_code,
        ms=round((time.perf_counter() - g.began) * 1000, 1),
        **{name: value for name, value in more.items() if value is not None},
    )
    if response.is_streamed:
        write()
    else:
        response.call_on_close(write)
    return response
