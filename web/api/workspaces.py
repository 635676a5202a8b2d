"""Workspaces: their settings, their own prices, the secret that signs their callbacks. For admins."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from flask import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core import signing
from core.accounts import workspaces
from core.agents.fields import RUNNING_AT_ONCE, MaxRunning, Name, Short, Url
from core.clock import utcnow
from core.documents import LimitPolicy, Workspace
from core.llm import providers
from core.metering import prices
from core.outbound.guard import Guard
from web.access import access
from web.answers import answer, listed, nothing
from web.context import db, services
from web.resource import Id, Model, PageQuery, Rotation, example, resource
from web.shapes.base import page
from web.shapes.keys import Price, WebhookSecret
from web.shapes.keys import Workspace as WorkspaceShape
from web.specification.says import shows, tells

api = resource("workspaces", "Who owns what")


class NewWorkspace(Model):
    """A workspace to be made."""

    model_config = example(name="Research", id="research")
    name: Name
    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] | None = None


class WorkspaceChanges(Model):
    """What is to change of a workspace; what is not named stays."""

    model_config = example(limit_policy="log")
    name: Name = ""
    alert_url: Url | None = Field(
        None,
        description="is told at 80, 100 and 120 % of an allowance, and of agents' processes: moves, budgets",
    )
    limit_policy: LimitPolicy = "log"
    max_running: MaxRunning = Field(None, description=RUNNING_AT_ONCE)
    managed_agents_max: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="agents that may be managed, or fall back to it; null: any number",
    )


Rate = Annotated[float, Field(ge=0, le=1_000_000)]


class NewPrice(Model):
    """USD per million tokens. Cached tokens cost as much as others, unless it says otherwise."""

    model_config = example(provider="openai", model="ft:gpt-4o-mini:ours", input=0.3, output=1.2)
    provider: Short
    model: Short
    input: Rate
    output: Rate
    cache_read: Rate | None = None
    cache_write: Rate | None = None


class PriceQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    provider: Short
    model: Short


class WorkspacePath(BaseModel):
    workspace_id: Id


@api.post("/workspaces", responses=shows(WorkspaceShape, "The workspace", status=201, headers=("Location",)))
@access(admin=True)
@tells(fails=(409,))
def create_workspace(body: NewWorkspace) -> Response:
    """Make a workspace."""
    made = workspaces.make(db(), body.name, body.id)
    return answer(workspaces.public(made), 201, {"Location": f"/api/v1/workspaces/{made['_id']}"})


@api.get("/workspaces", responses=shows(page(WorkspaceShape), "A page of workspaces, newest first"))
@access(admin=True)
def list_workspaces(query: PageQuery) -> Response:
    """All workspaces."""
    items, cursor = workspaces.page(db(), limit=query.limit, cursor=query.cursor)
    return listed(map(workspaces.public, items), cursor)


@api.patch("/workspaces/<workspace_id>", responses=shows(WorkspaceShape, "The workspace"))
@access(admin=True)
def change_workspace(path: WorkspacePath, body: WorkspaceChanges) -> Response:
    """Change its name, whom to alert, and what becomes of calls above an allowance."""
    return answer(workspaces.public(changed(path.workspace_id, body)))


def changed(workspace_id: str, body: WorkspaceChanges) -> Workspace:
    """The workspace with these changes. Raises `Invalid` for a URL that may not be called."""
    workspace = workspaces.get(db(), workspace_id)
    if body.alert_url is not None:
        Guard(services().settings.custom_endpoint_allow).check_url(body.alert_url, pointer="/alert_url")
    return workspaces.change(db(), workspace, body.given())


@api.put("/workspaces/<workspace_id>/prices", responses=shows(page(Price), "All of its own prices"))
@access(admin=True)
def put_price(path: WorkspacePath, body: NewPrice) -> Response:
    """Set the workspace's own price of a model. It holds for calls that end from now on."""
    workspace = workspaces.get(db(), path.workspace_id)
    rates = {name: Decimal(str(rate)) for name, rate in body.given().items() if isinstance(rate, float)}
    providers.row(body.provider)
    prices.set_for_workspace(db(), workspace["_id"], body.provider, body.model, rates, f"{utcnow():%Y-%m-%d}")
    return _own_prices(workspace)


@api.get("/workspaces/<workspace_id>/prices", responses=shows(page(Price), "All of its own prices"))
@access(admin=True)
def list_prices(path: WorkspacePath) -> Response:
    """The workspace's own prices, USD per million tokens; other models cost what the public tables say."""
    return _own_prices(workspaces.get(db(), path.workspace_id))


@api.delete("/workspaces/<workspace_id>/prices", responses={"204": {"description": "Gone"}})
@access(admin=True)
def delete_price(path: WorkspacePath, query: PriceQuery) -> Response:
    """Remove the workspace's own price of a model: the public one holds again."""
    workspace = workspaces.get(db(), path.workspace_id)
    prices.unset_for_workspace(db(), workspace["_id"], query.provider, query.model)
    return nothing()


@api.get("/workspaces/<workspace_id>/webhook-secret", responses=shows(WebhookSecret, "The secret"))
@access(admin=True)
def get_webhook_secret(path: WorkspacePath) -> Response:
    """The secret with which a receiver verifies callbacks (Standard Webhooks)."""
    workspace = workspaces.get(db(), path.workspace_id)
    return answer({"secret": signing.secret(db(), services().sealer, workspace["_id"])})


@api.post(
    "/workspaces/<workspace_id>/webhook-secret/rotate", responses=shows(WebhookSecret, "The new secret")
)
@access(admin=True)
def rotate_webhook_secret(path: WorkspacePath, body: Rotation) -> Response:
    """Make another secret. For as long as `grace` callbacks are signed with both."""
    workspace = workspaces.get(db(), path.workspace_id)
    made = signing.rotate(db(), services().sealer, workspace["_id"], grace=body.grace, now=utcnow())
    return answer({"secret": made})


def _own_prices(workspace: Workspace) -> Response:
    found = sorted(prices.of_workspace(db(), workspace["_id"]).items())
    return listed([_price(provider, rate) for (provider, _), rate in found], None)


def _price(provider: str, rate: prices.Rate) -> dict[str, Any]:
    rates = {name: float(getattr(rate, name)) for name in prices.RATES}
    return {"provider": provider, "model": rate.model, **rates, "since": rate.version}
