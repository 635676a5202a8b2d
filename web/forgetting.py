"""After a request that wrote something other than a job, every web process forgets what it remembers."""

from __future__ import annotations

from flask import Flask, Response, g, request

from core.jobs import signals
from web.access import READS
from web.context import remembered, services


def register(app: Flask) -> None:
    """Before the answer leaves: whoever hears that a key is revoked finds it revoked."""
    app.after_request(_tell)


def _tell(response: Response) -> Response:
    may_have_written = response.status_code < 400 or response.status_code >= 500
    if request.method not in READS and may_have_written and not g.get("made_job"):
        remembered().forget()
        signals.publish(services().redis, signals.CONFIGURED, request.method)
    return response
