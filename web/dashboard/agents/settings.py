"""An agent's settings: who answers and how, a test of it, the route that a call takes; the agent itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, ValidationError

from core.agents.fields import AGENT, LLM_CONFIG
from core.chat.chat import TEST
from core.documents import Agent
from core.errors import Problem
from core.jobs import queries
from core.jobs.model import DONE
from core.jobs.views import UNASKED
from core.llm import providers, tiers
from web import problems
from web.api.models import AgentChanges, LlmConfig
from web.context import db, workspace_id
from web.dashboard.agents import choices, form, one
from web.dashboard.frame import answers
from web.doors import agents as door
from web.doors import work

Document = dict[str, Any]

views = Blueprint("settings", __name__)

SUPPOSED = {"messages": [{"role": "user", "content": "Hello."}]}
CHOSEN = ("provider", "managed", "tier")
"""The drop-down of the providers says these."""
ABOVE = ("model", "credential", "custom_endpoint")
ON_FAILURE = ("fallback", "allow_managed_fallback", "content_fallback")


@views.get("/agents/<agent_id>/settings")
def show(agent_id: str) -> Response:
    """The forms, and the route."""
    agent = one.get(agent_id)
    config = agent["llm_config"]
    return one.page(
        "agents/settings.html",
        agent,
        chosen=choices.chosen(config),
        config=config,
        fields=form.controls(AGENT, agent),
        of_config=form.controls(LLM_CONFIG, config or {}),
        above=ABOVE,
        on_failure=ON_FAILURE,
        elsewhere={*CHOSEN, *ABOVE, *ON_FAILURE},
        providers=choices.providers_to_choose(),
        credentials=choices.credentials_to_choose(),
        tiers=[(name, name) for name in tiers.table().tiers],
        vendors=[(name, name) for name in providers.vendors()],
        route=_route(agent),
    )


@views.post("/agents/<agent_id>/settings")
def change(agent_id: str) -> Response:
    """Set the agent's own fields."""
    agent = one.get(agent_id)
    given = form.body(AGENT, request.form) | {"name": request.form.get("name", "").strip()}
    changed = door.change(agent, _checked(AgentChanges, given))
    return answers.go(_at(changed), "Saved.")


@views.post("/agents/<agent_id>/llm-config")
def configure(agent_id: str) -> Response:
    """Set who answers. A key that was not typed again stays; it is never shown."""
    agent = one.get(agent_id)
    given = form.body(LLM_CONFIG, request.form) | of_provider(request.form)
    door.configure(agent, _checked(LlmConfig, given))
    return answers.go(_at(agent), "Saved.")


@views.post("/agents/<agent_id>/test")
def test(agent_id: str) -> Response:
    """One tiny call: does its provider answer?"""
    agent = one.get(agent_id)
    job, _ = work.accepted(work.draft("llm_test", agent, TEST), agent)
    return _tested(agent, job["_id"])


@views.get("/agents/<agent_id>/test/<job_id>")
def tested(agent_id: str, job_id: str) -> Response:
    """How the test went, or that it is still under way."""
    return _tested(one.get(agent_id), job_id)


@views.post("/agents/<agent_id>/delete")
def delete(agent_id: str) -> Response:
    """Remove the agent, if it does not run."""
    agent = one.get(agent_id)
    door.remove(agent)
    return answers.go("/agents", f"{agent['name']} is gone. Its usage stays.")


def of_provider(sent: Mapping[str, str]) -> Document:
    """What the fields around a provider and its keys say; empty: no provider was chosen."""
    said = {name: text.strip() for name, text in sent.items() if text.strip()}
    if "provider" not in said:
        return {}
    config: Document = choices.meant(said["provider"])
    config |= {"tier": said["tier"]} if "tier" in said and "tier" not in config else {}
    config |= {name: said[name] for name in ABOVE if name in said}
    if "api_key" in said or "forget_key" in said:
        config["api_key"] = said.get("api_key")
    keys: dict[str, str | None] = {
        name.removeprefix("forget:"): None for name in said if name.startswith("forget:")
    }
    if "other_key" in said:
        keys[said.get("other_provider", "")] = said["other_key"]
    return config | ({"keys": keys} if keys else {})


def _checked(body: type[BaseModel], given: Document) -> Document:
    """As the API would take it. Raises `Invalid`."""
    try:
        return body.model_validate(given).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise problems.invalid(error) from None


def _route(agent: Agent) -> Document | None:
    """What `explain` tells; where no call could be made, why not. None: there is no provider yet."""
    if agent["llm_config"] is None:
        return None
    try:
        return door.explained(agent, SUPPOSED)
    except Problem as problem:
        return {"problem": problem.detail}


def _tested(agent: Agent, job_id: str) -> Response:
    job = queries.get(db(), workspace_id(), job_id, UNASKED)
    return answers.page("agents/tested.html", agent=agent, job=job, done=job["status"] in DONE)


def _at(agent: Agent) -> str:
    return f"/agents/{agent['_id']}/settings"
