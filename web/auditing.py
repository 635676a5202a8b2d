"""Every write by a key goes into the audit log, also one that was forbidden."""

from __future__ import annotations

from flask import Flask, Response, g, request

from core.audit_log import Trail
from web.access import READS
from web.context import request_id

FORBIDDEN = 403


def register(app: Flask, trail: Trail) -> None:
    """Note what each request wrote, after it did."""

    def note(response: Response) -> Response:
        caller = g.get("caller")
        wrote = response.status_code < 400 or response.status_code == FORBIDDEN
        if caller is None or request.method in READS or not wrote:
            return response
        # A job keeps who made it: that entry can travel with others.
        write = trail.soon if g.get("made_job") else trail.now
        write(
            workspace_id=g.workspace_id,
            key_id=caller.key_id,
            role=caller.role,
            method=request.method,
            route=request.url_rule.rule if request.url_rule else None,
            target=dict(request.view_args or {}),
            status=response.status_code,
            address=request.remote_addr,
            request_id=request_id(),
        )
        return response

    app.after_request(note)
