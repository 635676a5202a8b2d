"""API keys: made, listed, changed and ended by admins; an agent's key is rotated by any member."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from flask import Response
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from core.accounts import keys
from core.agents import agents
from core.agents.fields import RUNNING_AT_ONCE, MaxRunning
from core.clock import utcnow
from core.documents import AskedRole, BudgetPeriod, Key
from core.errors import Forbidden, Invalid
from core.metering import budgets, new_budget
from core.metering.budget import of_key
from web.access import access
from web.answers import answer, listed, nothing
from web.context import caller, db, workspace_id
from web.resource import AgentId, AgentPath, Id, Model, PageQuery, Rotation, example, resource
from web.shapes.base import page
from web.shapes.keys import Key as KeyShape
from web.shapes.keys import KeyStanding, NewKeyShown
from web.specification.says import shows, tells

api = resource("keys", "API keys")

FURTHEST = timedelta(days=36_500)


class KeyFields(Model):
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    agents: Annotated[list[AgentId], Field(min_length=1, max_length=1000)] | None = None
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = None
    rpm: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(None, description="requests a minute")
    tpm: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(None, description="tokens a minute")
    max_running: MaxRunning = Field(None, description=RUNNING_AT_ONCE)
    budget_usd: Annotated[float, Field(ge=0, le=1_000_000_000)] | None = None
    budget_period: BudgetPeriod | None = None


class NewKey(KeyFields):
    """A key to be made."""

    model_config = example(role="member", name="ci", rpm=60)
    role: AskedRole = "member"


class KeyChanges(KeyFields):
    """What is to change of a key; what is not named stays."""


class KeyPath(BaseModel):
    key_id: Id


@api.post(
    "/keys",
    responses=shows(NewKeyShown, "The key; `key` is shown this once", status=201, headers=("Location",)),
)
@access(admin=True)
def create_key(body: NewKey) -> Response:
    """Make a key."""
    return _once(*made(body))


def made(body: NewKey) -> tuple[Key, str]:
    """A new key, and its text. Raises `Invalid` for one that could never be used as it says."""
    given = body.given()
    if body.expires_at is not None and body.expires_at <= utcnow():
        raise _wrong("expires_at", "lies in the past")
    agents.check_bound(db(), workspace_id(), body.role, body.agents)
    _check_rest(given, given)
    return keys.make(
        db(),
        role=body.role,
        workspace_id=workspace_id(),
        name=body.name,
        agents=body.agents,
        expires_at=body.expires_at,
        limits=given,
        created_by=caller().key_id,
    )


@api.get("/keys", responses=shows(page(KeyShape), "A page of keys, newest first"))
def list_keys(query: PageQuery) -> Response:
    """The workspace's keys, those that have ended too."""
    items, cursor = keys.page(db(), workspace_id(), limit=query.limit, cursor=query.cursor)
    return listed(map(keys.public, items), cursor)


@api.get("/keys/<key_id>", responses=shows(KeyStanding, "The key, and how its budget stands"))
def get_key(path: KeyPath) -> Response:
    """One key. If it has a budget: also what is spent and reserved of it, and when it resets."""
    key = keys.get(db(), workspace_id(), path.key_id)
    budget = of_key(keys.caller_of(key), utcnow())
    standing = None if budget is None else budgets.used(db(), budget)
    return answer({**keys.public(key), "budget": standing})


@api.patch("/keys/<key_id>", responses=shows(KeyShape, "The key"))
@access(admin=True)
def change_key(path: KeyPath, body: KeyChanges) -> Response:
    """Change what a key may do, or until when."""
    return answer(keys.public(changed(path.key_id, body)))


def changed(key_id: str, body: KeyFields) -> Key:
    """The key with these changes. Raises `Invalid` as `made` does."""
    key = keys.get(db(), workspace_id(), key_id)
    given = body.given()
    if "agents" in given:  # those that it has may be gone by now
        agents.check_bound(db(), workspace_id(), key["role"], given["agents"])
    _check_rest(given, {**key, **given})
    new = keys.change(db(), key, given)
    new_budget.hold(db(), key, new, utcnow())
    return new


@api.post(
    "/keys/<key_id>/rotate",
    responses=shows(NewKeyShown, "The key in its place, shown this once", status=201, headers=("Location",)),
)
@access(admin=True)
@tells(fails=(409,))
def rotate_key(path: KeyPath, body: Rotation) -> Response:
    """Make a key in place of this one, which ends now, or after `grace`.

    The new key has the same role, limits and end, and what the old one has used counts for it.
    """
    key = keys.get(db(), workspace_id(), path.key_id)
    return _once(*keys.rotate(db(), key, grace=body.grace, created_by=caller().key_id))


@api.delete("/keys/<key_id>", responses={"204": {"description": "Ended"}})
@access(admin=True)
def revoke_key(path: KeyPath) -> Response:
    """End a key now."""
    keys.revoke(db(), keys.get(db(), workspace_id(), path.key_id))
    return nothing()


@api.post(
    "/agents/<agent_id>/rotate-key",
    responses=shows(NewKeyShown, "The key, shown this once", status=201, headers=("Location",)),
)
def rotate_agent_key(path: AgentPath, body: Rotation) -> Response:
    """Give an agent a new key. Its old keys end now, or after `grace`.

    The new key has the limits of the last one, and what that one has used counts for it.
    """
    if caller().limited:
        raise Forbidden("this key has limits or an end of its own: another one must rotate keys")
    agent = agents.get(db(), workspace_id(), path.agent_id)
    return _once(*keys.rotate_for_agent(db(), agent, grace=body.grace, created_by=caller().key_id))


def _once(key: Key, text: str) -> Response:
    """A key with its text, which nobody can read again."""
    where = {"Location": f"/api/v1/keys/{key['_id']}"}
    return answer({**keys.public(key), "key": text}, 201, where)


def _check_rest(given: dict[str, Any], whole: dict[str, Any]) -> None:
    """Raises `Invalid` for a key that could never be used as it says. `whole`: as it will be."""
    ends: datetime | None = given.get("expires_at")
    if ends is not None and abs(ends - utcnow()) > FURTHEST:
        raise _wrong("expires_at", "is not a sensible time")
    if (whole.get("budget_usd") is None) != (whole.get("budget_period") is None):
        raise _wrong("budget_period", "`budget_usd` and `budget_period` belong together")


def _wrong(field: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[{"pointer": f"/{field}", "detail": detail}])
