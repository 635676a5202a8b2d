"""API keys: the list with what each has spent, one with its limits; made, rotated and revoked by admins."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request

from core.accounts import keys
from core.agents import agents
from core.clock import utcnow
from core.documents import Key
from core.metering import budgets, stacks, sums
from core.metering.budget import of_key
from core.metering.periods import period
from core.store import pages
from web.access import access
from web.api.keys import KeyFields, NewKey, changed, made
from web.context import caller, db, workspace_id
from web.dashboard.frame import answers
from web.dashboard.settings import forms
from web.resource import Rotation

Document = dict[str, Any]

views = Blueprint("of_keys", __name__)

ROLES = (
    ("member", "Member: reads and writes"),
    ("viewer", "Viewer: reads"),
    ("agent", "Agent: chats as one agent"),
    ("admin", "Admin: all workspaces"),
)
GRACES = (
    ("0", "at once"),
    ("3600", "an hour later"),
    ("86400", "a day later"),
    ("604800", "seven days later"),
)


@views.get("/settings")
def listed() -> Response:
    """The workspace's keys, newest first."""
    found, after = keys.page(
        db(), workspace_id(), limit=pages.DEFAULT_LIMIT, cursor=request.args.get("cursor")
    )
    return answers.page(
        "settings/keys.html",
        keys=found,
        own=g.session["key_id"],
        state=_state,
        budgets={key["_id"]: _budget(key) for key in found},
        spent=_spent_this_month(),
        after=after,
        turned=request.args.get("cursor"),
    )


@views.get("/settings/keys/new")
@access(admin=True)
def new() -> Response:
    """A form for one."""
    return answers.page("settings/new_key.html", roles=ROLES, agents=_agents())


@views.post("/settings/keys/new")
@access(admin=True)
def create() -> Response:
    """Make a key, and show it this once."""
    body = forms.read(NewKey, forms.given(request.form, NewKey, without=frozenset({"role", "name"})))
    return _shown(*made(body), "It is made.")


@views.get("/settings/keys/<key_id>")
def one(key_id: str) -> Response:
    """A key: what it may do, what it has spent."""
    key = keys.get(db(), workspace_id(), key_id)
    bound = agents.of_ids(db(), workspace_id(), key["agents"] or [])
    return answers.page(
        "settings/key.html",
        key=key,
        state=_state(key),
        may=keys.MAY[key["role"]],
        bound=[agent["name"] for agent in bound],
        budget=_budget(key),
        spent=_spent_this_month().get(key.get("counts_as") or key["_id"]),
        graces=GRACES,
    )


@views.post("/settings/keys/<key_id>")
@access(admin=True)
def change(key_id: str) -> Response:
    """Set its name, its limits and its end."""
    changed(key_id, forms.read(KeyFields, forms.given(request.form, KeyFields, without=frozenset({"name"}))))
    return answers.go(f"/settings/keys/{key_id}", "It is saved.")


@views.post("/settings/keys/<key_id>/rotate")
@access(admin=True)
def rotate(key_id: str) -> Response:
    """Another key in its place, shown this once."""
    body = forms.read(Rotation, forms.given(request.form, Rotation))
    key = keys.get(db(), workspace_id(), key_id)
    return _shown(*keys.rotate(db(), key, grace=body.grace, created_by=caller().key_id), "It is rotated.")


@views.post("/settings/keys/<key_id>/revoke")
@access(admin=True)
def revoke(key_id: str) -> Response:
    """End a key now, and with it all of its sessions."""
    keys.revoke(db(), keys.get(db(), workspace_id(), key_id))
    return answers.go("/settings", "The key is revoked.")


def _shown(key: Key, text: str, said: str) -> Response:
    """The page that has the key's text: no other ever will."""
    response = answers.page("settings/shown_once.html", key=key, text=text, done=said)
    # In place of the whole page, though a part of it has asked.
    response.headers.update({"HX-Retarget": "main", "HX-Reselect": "main", "HX-Reswap": "outerHTML"})
    return response


def _state(key: Key) -> str:
    now = utcnow()
    if key["revoked_at"] is not None:
        return "revoked" if key["revoked_at"] <= now else "ending"
    return "active" if keys.alive(key, now) else "expired"


def _budget(key: Key) -> Document | None:
    budget = of_key(keys.caller_of(key), utcnow())
    return None if budget is None else budgets.used(db(), budget)


def _spent_this_month() -> dict[str, Document]:
    """What each key has used, by the id that it counts under."""
    dates = period(utcnow(), name="month").dates()
    found: dict[str, Document] = {}
    for of_day in stacks.by_date(db(), workspace_id(), dates, "key").values():
        for name, used in of_day.items():
            sums.add(found.setdefault(name, sums.nothing()), used)
    return found


def _agents() -> list[tuple[str, str]]:
    found, _ = agents.page(db(), workspace_id(), limit=pages.MOST, cursor=None)
    return [(agent["_id"], agent["name"]) for agent in found]
