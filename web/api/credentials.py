"""A workspace's sealed provider keys."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from pydantic import BaseModel, StringConstraints

from core.agents import credentials
from core.agents.fields import Short, Url
from web.answers import answer, listed, nothing
from web.api.models import ProviderKey
from web.context import db, services, workspace_id
from web.resource import Model, PageQuery, example, resource
from web.shapes.agents import Credential
from web.shapes.base import page
from web.specification.says import shows

api = resource("credentials", "Provider keys that many agents use")


class CredentialPath(BaseModel):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class CredentialBody(Model):
    """An absent `api_key` keeps the stored one while provider and address stay the same."""

    model_config = example(provider="openai", api_key="sk-0123456789abcdef")

    provider: Short
    api_key: ProviderKey | None = None
    custom_endpoint: Url | None = None


@api.get("/credentials", responses=shows(page(Credential), "A page of credentials, newest first"))
def list_credentials(query: PageQuery) -> Response:
    """The workspace's credentials, without their keys."""
    items, cursor = credentials.page(db(), workspace_id(), limit=query.limit, cursor=query.cursor)
    return listed(map(credentials.public, items), cursor)


@api.put(
    "/credentials/<name>",
    responses={
        **shows(Credential, "The credential"),
        **shows(Credential, "The new credential", status=201, headers=("Location",)),
    },
)
def put_credential(path: CredentialPath, body: CredentialBody) -> Response:
    """Set a credential; rotating its key reaches every agent that names it, at once."""
    credential, new = credentials.put(
        db(),
        workspace_id(),
        path.name,
        body.given(),
        sealer=services().sealer,
        settings=services().settings,
    )
    where = {"Location": f"/api/v1/credentials/{path.name}"} if new else {}
    return answer(credentials.public(credential), 201 if new else 200, where)


@api.get("/credentials/<name>", responses=shows(Credential, "The credential, without its key"))
def get_credential(path: CredentialPath) -> Response:
    """One credential, without its key."""
    return answer(credentials.public(credentials.get(db(), workspace_id(), path.name)))


@api.delete("/credentials/<name>", responses={"204": {"description": "Gone"}})
def delete_credential(path: CredentialPath) -> Response:
    """Remove a credential; agents that name it cannot be asked until they name another."""
    credentials.delete(db(), credentials.get(db(), workspace_id(), path.name))
    return nothing()
