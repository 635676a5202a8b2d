"""Signing in with an API key, or by a link that was made for it, and signing out."""

from __future__ import annotations

import re

from flask import Blueprint, Response, render_template, request

from core.accounts import keys
from core.accounts import sessions as stored
from core.clock import utcnow
from core.documents import Key
from core.errors import Unauthorized
from web import sessions
from web.access import access
from web.auth import LONGEST_KEY
from web.context import db, failed_logins
from web.dashboard.frame import answers

views = Blueprint("sign_in", __name__)

OURS = re.compile(r"/(?![/\\])[\x21-\x7e]{0,2000}")
"""A path of this site. `//host` and `/\\host` are other sites."""


@views.post("/sign-in")
@access(public=True)
def sign_in() -> Response:
    """Take a key, and give a session for it."""
    sessions.check_origin()
    then = request.form.get("then", "")
    try:
        return _signed_in(_key(request.form.get("key", "").strip()), then)
    except Unauthorized as error:
        return Response(render_template("frame/sign_in.html", then=then, error=error.detail), 401)


@views.get("/sign-in/<code>")
@access(public=True)
def by_link(code: str) -> Response:
    """Sign in with a link, which works once."""
    try:
        return _signed_in(stored.redeem(db(), code, utcnow()), "")
    except Unauthorized as error:
        failed_logins().note(request.remote_addr)
        return Response(render_template("frame/sign_in.html", then="", error=error.detail), 401)


@views.post("/sign-out")
@access(own=True)
def sign_out() -> Response:
    """End the session."""
    stored.end(db(), sessions.cookie())
    return sessions.take(answers.go("/"))


def _key(text: str) -> Key:
    """The key of this text. A wrong one counts against its address, as it does at the API."""
    try:
        if not 0 < len(text) <= LONGEST_KEY:
            raise Unauthorized("this API key is not valid")
        return keys.of_text(db(), text, utcnow())
    except Unauthorized:
        failed_logins().note(request.remote_addr)
        raise


def _signed_in(key: Key, then: str) -> Response:
    response = answers.go(then if OURS.fullmatch(then) else "/")
    return sessions.give(response, stored.begin(db(), key))
