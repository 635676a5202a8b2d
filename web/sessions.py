"""Who is signed in to the dashboard: the session's cookie, and the token that each write carries."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from flask import Response, g, request

from core.accounts import keys, sessions, workspaces
from core.clock import utcnow
from core.errors import Forbidden, Unauthorized
from web import unrouted
from web.access import READS
from web.context import db
from web.unrouted import DASHBOARD

COOKIE = "vutler_session"
LONGEST = 100
FIELD, HEADER = "csrf", "X-CSRF"
OURS = frozenset({"same-origin", "none"})


def of_dashboard() -> bool:
    """Is this request for a page, which a cookie opens? The API takes keys alone: no other site has those."""
    if request.url_rule is None:
        return unrouted.owner() == DASHBOARD
    return DASHBOARD in request.blueprints


def signed_in() -> tuple[keys.Caller, str]:
    """Whose session came with the request, and the workspace that it is about. Raises `Unauthorized`."""
    session, caller = sessions.find(db(), cookie(), utcnow())
    g.session = session
    if caller.role == "admin":
        return caller, str(workspaces.get(db(), session["workspace_id"])["_id"])
    return caller, caller.workspace_id


def check_write() -> None:
    """Raises `Forbidden` for a write that no page of this session asked for."""
    if request.method in READS:
        return
    check_origin()
    given = request.headers.get(HEADER) or request.form.get(FIELD, "")
    salt, _, mark = given.partition(".")
    if not hmac.compare_digest(mark.encode(), _mark(salt).encode()):
        raise Forbidden("this page is too old; load it again", code="csrf")


def check_origin() -> None:
    """Raises `Forbidden` for a request that another site's page has made."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    foreign = site not in OURS if site else origin is not None and urlsplit(origin).netloc != request.host
    if foreign:
        raise Forbidden("this came from another site", code="csrf")


def token() -> str:
    """What a write of this session must carry; another one each time, so that compression betrays nothing."""
    salt = secrets.token_hex(8)
    return f"{salt}.{_mark(salt)}"


def cookie() -> str:
    """The text of the session. Raises `Unauthorized` when there is none."""
    text = request.cookies.get(COOKIE, "")
    if not 0 < len(text) <= LONGEST:
        raise Unauthorized("you are not signed in")
    return text


def give(response: Response, text: str) -> Response:
    """Let the browser keep the session, out of reach of scripts and of other sites' requests."""
    response.set_cookie(
        COOKIE,
        text,
        max_age=sessions.KEPT,
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def take(response: Response) -> Response:
    """Let the browser forget the session."""
    response.delete_cookie(COOKIE, secure=request.is_secure, httponly=True, samesite="Lax")
    return response


def _mark(salt: str) -> str:
    return hmac.new(cookie().encode(), salt.encode(), hashlib.sha256).hexdigest()
