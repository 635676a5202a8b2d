"""Before every request: whose key is this, may it do that, and in which workspace."""

from __future__ import annotations

import pymongo
from flask import Flask, current_app, g, request

from core.accounts import keys, workspaces
from core.config import Settings
from core.errors import Forbidden, NotFound, Unauthorized
from core.ids import utcnow
from web import access, limiting
from web.context import db

LONGEST_KEY = 512
STORE_ANSWERS_WITHIN_S = 0.7


def register(app: Flask, settings: Settings) -> None:
    """Check every request of this app, but those to views that are public."""
    failed = limiting.FailedLogins(settings.failed_logins_per_minute)
    app.before_request(lambda: check(failed))


def check(failed: limiting.FailedLogins) -> None:
    """Raises `Unauthorized`, `Forbidden`, or `NotFound` for what belongs to others."""
    if request.endpoint is None:
        return  # no such route: 404 or 405 for anybody
    allowed = access.of(current_app.view_functions[request.endpoint])
    if allowed.public or request.method == "OPTIONS":
        return
    key = presented()
    failed.check(request.remote_addr)
    try:
        with pymongo.timeout(STORE_ANSWERS_WITHIN_S):  # a store that hangs is told from a slow one here
            caller = keys.authenticate(db(), key, utcnow())
    except Unauthorized:
        failed.note(request.remote_addr)
        raise
    g.caller = caller
    g.workspace_id = _workspace(caller)
    limiting.take_request()
    if not allowed.allows(caller.role, request.method):
        raise Forbidden(f"a key of the role {caller.role} may not do this")
    named = request.view_args or {}
    if caller.agents is not None and not allowed.shows_only_its_own(set(named)):
        raise Forbidden("this key is bound to some agents; this is about the whole workspace")
    agent_id = named.get("agent_id")
    if agent_id is not None and not caller.may_touch(agent_id):
        raise NotFound("no such agent")


def presented() -> str:
    """The key that came with the request. Raises `Unauthorized` when there is none."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    text = key.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "").strip()
    if not text:
        raise Unauthorized("send your API key as `Authorization: Bearer <key>`")
    if len(text) > LONGEST_KEY:
        raise Unauthorized("this API key is not valid")
    return text.encode("latin-1").decode(errors="replace")


def _workspace(caller: keys.Caller) -> str:
    named = request.headers.get("X-Workspace")
    if named is None or named == caller.workspace_id:
        return caller.workspace_id
    if caller.role != "admin":
        raise NotFound("no such workspace")
    return str(workspaces.get(db(), named)["_id"])
