"""A credential: made, given another key, tested by an agent that uses it, removed. Its key is never shown."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response, request

from core.agents import agents, credentials
from core.chat.chat import TEST
from core.errors import Conflict, NotFound
from core.llm import providers
from web.api.credentials import CredentialBody, CredentialPath
from web.context import db, services, workspace_id
from web.dashboard.frame import answers
from web.dashboard.settings import forms
from web.doors import work

views = Blueprint("credential", __name__)


@views.get("/providers/new")
def new() -> Response:
    """A form for one."""
    return answers.page("providers/credential.html", credential=None, users=[], vendors=_vendors())


@views.post("/providers")
def create() -> Response:
    """Seal a key under a name that is free."""
    name = forms.read(CredentialPath, {"name": request.form.get("name", "").strip()}).name
    if credentials.find(db(), workspace_id(), name) is not None:
        raise Conflict(f"there is a credential {name!r} already: change it, or choose another name")
    _put(name)
    return answers.go("/providers", f"{name} is kept. Agents may use it now.")


@views.get("/providers/credentials/<name>")
def show(name: str) -> Response:
    """Where its key goes, who uses it, and a form to change it."""
    return answers.page(
        "providers/credential.html",
        credential=credentials.get(db(), workspace_id(), name),
        users=credentials.users(db(), workspace_id()).get(name, []),
        vendors=_vendors(),
    )


@views.post("/providers/credentials/<name>")
def change(name: str) -> Response:
    """Set it; a key that was not typed again stays, while provider and address do."""
    credentials.get(db(), workspace_id(), name)
    _put(name)
    return answers.go(f"/providers/credentials/{name}", "Saved. The next call of its agents uses it.")


@views.post("/providers/credentials/<name>/test")
def test(name: str) -> Response:
    """One tiny call by an agent that uses it, which asks nobody else if this key is refused."""
    credentials.get(db(), workspace_id(), name)
    users = credentials.users(db(), workspace_id()).get(name)
    if not users:
        raise NotFound("no agent uses it yet: choose it in an agent's settings")
    agent = agents.get(db(), workspace_id(), users[0][0])
    asked = work.draft("llm_test", agent, TEST)
    alone = replace(asked, plan={**asked.plan, "targets": asked.plan["targets"][:1]})
    job, _ = work.accepted(alone, agent)
    return answers.page("agents/tested.html", agent=agent, job=job, done=False)


@views.post("/providers/credentials/<name>/delete")
def delete(name: str) -> Response:
    """Remove it. Agents that name it cannot be asked until they name another."""
    credentials.delete(db(), credentials.get(db(), workspace_id(), name))
    return answers.go("/providers", f"{name} is gone.")


def _put(name: str) -> None:
    given = forms.given(request.form, CredentialBody, without=frozenset({"api_key"}))
    body = forms.read(CredentialBody, given)
    credentials.put(
        db(),
        workspace_id(),
        name,
        body.given(),
        sealer=services().sealer,
        settings=services().settings,
    )


def _vendors() -> list[tuple[str, str]]:
    return [(name, name) for name in providers.vendors()]
