"""Before every request: whose key, session or ticket is this, may it do that, and in which workspace."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pymongo
from flask import Flask, current_app, g, request
from pymongo.errors import PyMongoError

from core.accounts import keys, tickets, workspaces
from core.agents import agents
from core.clock import utcnow
from core.config import Settings
from core.errors import Forbidden, NotFound, Unauthorized, Unavailable
from web import access, deadline, limiting, places, sessions
from web.context import FAILED_LOGINS, db, failed_logins, remembered, services

LONGEST_KEY = 512
MOST_ROUNDS = 10
PUBLIC_BYTES = 16 * 1024
"""Of the body of a request for which no key is needed: a sign-in is its largest."""
PUBLIC_S = 5.0
"""And its time."""

Read = TypeVar("Read")


def register(app: Flask, settings: Settings) -> None:
    """Check every request of this app, but those to views that are public."""
    app.extensions[FAILED_LOGINS] = limiting.FailedLogins(settings.failed_logins_per_minute)
    patience = Patience(settings.store_answers_within_s)
    app.before_request(lambda: check(patience))


class Patience:
    """A store that hangs is told from one that is only busy: a busy one has answered somebody meanwhile."""

    def __init__(self, within_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.within_s = within_s
        self.now = now
        self._answered_at = float("-inf")

    def ask(self, read: Callable[[], Read]) -> Read:
        """What `read` gives. Raises `PyMongoError` when nobody got an answer for `within_s`."""
        for _ in range(MOST_ROUNDS):
            began = self.now()
            try:
                with pymongo.timeout(self.within_s):
                    found = read()
            except PyMongoError as error:
                if not error.timeout or self._answered_at < began:
                    raise
            else:
                self._answered_at = self.now()
                return found
        raise Unavailable("the store has too much to do; try again")


def check(patience: Patience) -> None:
    """Raises `Unauthorized`, `Forbidden`, or `NotFound` for what belongs to others."""
    if request.endpoint is None:
        return  # no such route: 404 or 405 for anybody
    allowed = access.of(current_app.view_functions[request.endpoint])
    if allowed.public or request.method == "OPTIONS":
        request.max_content_length = PUBLIC_BYTES
        deadline.hurry(request.environ, PUBLIC_S)
        return
    if sessions.of_dashboard():
        g.caller, g.workspace_id = patience.ask(sessions.signed_in)
        sessions.check_write()
    elif allowed.ticket and "ticket" in request.args:
        g.ticket = _ticket(request.args["ticket"])
        g.caller = _with_ticket(patience, g.ticket)
        g.workspace_id = g.ticket.workspace_id
    else:
        g.caller = _with_key(patience)
        g.workspace_id = _workspace(g.caller)
    places.take()
    limiting.take_request()
    if not allowed.allows(g.caller.role, request.method):
        raise Forbidden(f"a key of the role {g.caller.role} may not do this")
    named = _with_agent(request.view_args or {})
    if g.caller.agents is not None and not allowed.shows_only_its_own(set(named)):
        raise Forbidden("this key is bound to some agents; this is about the whole workspace")
    agent_id = named.get("agent_id")
    if agent_id is not None and not g.caller.may_touch(agent_id):
        raise NotFound("no such agent")


def _with_key(patience: Patience) -> keys.Caller:
    """Who comes with the key of this request."""
    key = presented()
    with _counted():
        return patience.ask(lambda: keys.authenticate(db(), key, utcnow(), remembered()))


def _ticket(text: str) -> tickets.Ticket:
    job_id = (request.view_args or {})["job_id"]
    with _counted():
        return tickets.read(services().sealer, text[:LONGEST_KEY], job_id, utcnow())


def _with_ticket(patience: Patience, ticket: tickets.Ticket) -> keys.Caller:
    """Who asked for the ticket of this request, as far as its key allows now."""
    with _counted():
        return patience.ask(lambda: ticket.caller(db(), utcnow(), remembered()))


@contextmanager
def _counted() -> Iterator[None]:
    """What is wrong counts against its address."""
    try:
        yield
    except Unauthorized:
        failed_logins().note(request.remote_addr)
        raise


def _with_agent(named: dict[str, Any]) -> dict[str, Any]:
    """A route's parameters, `agent:<name>` replaced by the agent's id. Raises `NotFound`."""
    reference = named.get("agent_id", "")
    if reference.startswith(agents.BY_NAME):
        name = reference.replace("\0", "/")  # see `web.requests.keep_slashes`
        known = ("agent's id", g.workspace_id, name)
        named["agent_id"] = remembered().get(known, lambda: agents.named(db(), g.workspace_id, name)["_id"])
    return named


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
