"""Errors, told to a person: a page, or the part of a page that a form shows them in."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, render_template, request
from pydantic_core import from_json

from core import errors
from web import problems, sessions
from web.dashboard.frame import answers, live

SIGN_IN = "/"
NO_PAGE = {
    404: ("There is no such page", "the address may be mistyped, or what it named is no longer there"),
    405: ("There is nothing to see here", "this address takes what a button sends, and shows nothing"),
}
"""(title, detail) instead of what Werkzeug says of an address that no route knows."""


def register(frame: Blueprint) -> None:
    """Tell all that is raised in a page's request in words."""
    frame.register_error_handler(Exception, respond)


def respond(error: Exception) -> Response:
    """The same problem, with the same status, as the API tells; drawn instead of written as JSON."""
    if isinstance(error, errors.Unauthorized) and request.endpoint != "dashboard.sign_in.sign_in":
        return _signed_out()
    told = problems.respond(error)
    if told.mimetype != problems.TYPE:
        return told
    problem = from_json(told.data)
    if request.url_rule is None and told.status_code in NO_PAGE:
        problem["title"], problem["detail"] = NO_PAGE[told.status_code]
    template = "frame/problem.html" if answers.by_htmx() else "frame/problem_page.html"
    told.data = render_template(template, problem=problem)
    told.content_type = "text/html; charset=utf-8"
    return told


def _signed_out() -> Response:
    """Where to sign in, and from there back to where they were going; a stream is told in its own words."""
    if request.accept_mimetypes.best == live.STREAM:
        response = Response(live.SIGNED_OUT, content_type=live.STREAM)
    elif request.path == "/" and not answers.by_htmx():
        response = Response(
            render_template("frame/sign_in.html", then=request.args.get("then", ""), error="")
        )
    else:
        wanted = request.full_path.rstrip("?") if request.method == "GET" else ""
        response = answers.go(f"{SIGN_IN}?then={quote(wanted, safe='')}" if wanted else SIGN_IN)
    return sessions.take(response) if sessions.COOKIE in request.cookies else response
