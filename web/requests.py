"""Requests: bodies that are JSON objects, within bounds of size, depth and range, or a clean refusal."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import flask
from flask import current_app, g

from core.errors import Invalid
from core.heavy import LIGHT
from core.store import free_json
from web import bodies, uploading
from web.context import BODIES
from web.turns import others_first

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

NAMED = re.compile(r"(?<=/agents/)agent(:|%3A)[^/]*", re.IGNORECASE)
QUOTED_SLASH = re.compile("%2F", re.IGNORECASE)


class Request(flask.Request):
    """Flask's request with a `get_json` of ours.

    The stock one answers deep nesting with a 500, `{` with a 422, and takes a JSON string that holds JSON for
    the JSON (flask-openapi 5.0.0).
    """

    _body: dict[str, Any] | None = None

    def __init__(self, environ: WSGIEnvironment, *args: Any, **more: Any) -> None:
        keep_slashes(environ)
        super().__init__(environ, *args, **more)
        self._turn = ExitStack()

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body, a JSON object. Raises `Invalid` whatever `silent` says."""
        if self._body is None:
            self._body = self._parse()
        return self._body

    def turn(self) -> ExitStack:
        """Inside, the body is understood: a large one in the turn in which it was parsed, which then ends."""
        return self._turn.pop_all()

    def close(self) -> None:
        """A turn ends also where nobody looked at the body."""
        self._turn.close()
        super().close()

    def _parse(self) -> dict[str, Any]:
        if not self.mimetype and not self.content_length and not self.headers.get("Transfer-Encoding"):
            return {}  # no body: all that is optional is left out
        if not self.is_json:
            raise Invalid("send JSON, with Content-Type: application/json", code="unsupported_media_type")
        raw = self.stream.read(LIGHT)
        if len(raw) < LIGHT:
            return _parsed(raw)
        limits, whose = current_app.extensions[BODIES], g.get("workspace_id", "")
        with uploading.hanging_up(), limits.place(whose):
            raw = bodies.rest(raw, self.stream.read)
            with ExitStack() as turn:
                turn.enter_context(limits.turn(whose, len(raw)))
                body = _parsed(raw)
                self._turn = turn.pop_all()
                return body


def _parsed(raw: bytes) -> dict[str, Any]:
    body = free_json.read(raw)
    if not isinstance(body, dict):
        raise Invalid("the body must be a JSON object", errors=[{"pointer": "", "detail": "an object"}])
    if len(raw) < LIGHT:
        free_json.check(body, raw)
        return body
    others_first()  # others get their turn between two looks at a large one
    free_json.check(body, raw)
    others_first()
    return body


def keep_slashes(environ: WSGIEnvironment) -> None:
    """Let the name in `/agents/agent:a%2Fb/chat` be one part of the path, though servers unquote the slash.

    It stands as a NUL, which no name has, until `web.auth` looks the name up.
    """
    path = environ.get("RAW_URI", "").partition("?")[0]
    kept = NAMED.sub(lambda named: QUOTED_SLASH.sub("%00", named[0]), path)
    if kept != path and path.startswith("/"):
        environ["PATH_INFO"] = unquote_to_bytes(kept.encode("latin-1")).decode("latin-1")
