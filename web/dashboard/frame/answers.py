"""Answers: a page drawn from its template, or the way to another page, with what was done said there."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any, cast
from urllib.parse import quote, unquote

from flask import Blueprint, Response, g, render_template, request

from core.accounts import workspaces
from web import sessions
from web.context import caller, db, workspace_id
from web.dashboard.frame.assets import Files

SAID = "vutler_said"
SAID_S = 30
LONGEST_SAID = 300
WORTH_PACKING = 1000


def register(frame: Blueprint, files: Files, pages: Sequence[Any]) -> None:
    """What templates may ask for, and the headers of all pages."""
    frame.app_context_processor(partial(_asked, files, pages))
    # Not of the blueprint alone: a page also says that there is no such page, where no route leads into it.
    frame.after_app_request(_dressed)


def page(template: str, **known: Any) -> Response:
    """A page. What the one before has left to say is said here, once."""
    response = Response(render_template(template, **known))
    if SAID in request.cookies:
        response.delete_cookie(SAID)
    return response


def go(path: str, said: str = "") -> Response:
    """After a write: on to this page, which says what was done. `path` is one of ours."""
    response = Response(status=303, headers={"Location": path})
    if by_htmx():
        response = Response(status=200, headers={"HX-Redirect": path})
    if said:
        text = quote(said[:LONGEST_SAID])
        response.set_cookie(SAID, text, max_age=SAID_S, httponly=True, samesite="Strict")
    return response


def by_htmx() -> bool:
    """Does htmx make this request, for a part of a page? Without JavaScript the browser makes it."""
    return request.headers.get("HX-Request") == "true"


def nonce() -> str:
    """What this answer's scripts carry."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return cast(str, g.nonce)


def _asked(files: Files, pages: Sequence[Any]) -> dict[str, Any]:
    if not sessions.of_dashboard():
        return {}
    return {
        "asset": lambda name: files[name].url,
        "at_page": f"{request.blueprint}.".split(".")[1],
        "here": request.full_path.rstrip("?"),
        "me": _Me(),
        "nonce": nonce,
        "pages": pages,
        "said": unquote(request.cookies.get(SAID, ""))[:LONGEST_SAID],
        "token": sessions.token,
    }


class _Me:
    """Who looks at the page, for templates: what they may not do is not drawn. That it is refused is not
    decided here, but where it is handled."""

    @property
    def role(self) -> str:
        return caller().role

    @property
    def admin(self) -> bool:
        return caller().role == "admin"

    @property
    def may_write(self) -> bool:
        return caller().role in ("admin", "member")

    @property
    def workspace(self) -> str:
        return workspaces.get(db(), workspace_id())["name"]

    @property
    def workspace_id(self) -> str:
        return workspace_id()


def _dressed(response: Response) -> Response:
    return _pack(_head(response)) if sessions.of_dashboard() else response


def _head(response: Response) -> Response:
    """Scripts run that carry this answer's nonce; nothing is loaded from, or sent to, another host."""
    policy = (
        f"default-src 'self'; script-src 'nonce-{nonce()}'; style-src 'self'; img-src 'self' data: blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    response.headers.setdefault("Content-Security-Policy", policy)
    # With `no-referrer` a browser would call the origin of our own forms `null`.
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response


def _pack(response: Response) -> Response:
    text = response.mimetype == "text/html" and not response.is_streamed
    if not text or len(response.data) < WORTH_PACKING or request.accept_encodings["gzip"] <= 0:
        return response
    response.data = gzip.compress(response.data, 5)
    response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    return response
