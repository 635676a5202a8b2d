"""The list of agents, and a new one."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from pydantic import ValidationError

from core.agents import agents
from core.clock import utcnow
from core.metering import usage
from core.metering.periods import period
from core.store.pages import DEFAULT_LIMIT
from web import problems
from web.api.models import NewAgent
from web.context import db, workspace_id
from web.dashboard.agents import chat, one, process, settings, snippets, used
from web.dashboard.agents.choices import providers_to_choose
from web.dashboard.frame import answers
from web.doors import agents as door

Document = dict[str, Any]

views = Blueprint("agents", __name__)
for of_one in (chat, settings, process, used, snippets):
    views.register_blueprint(of_one.views)


@views.get("/agents")
def listed() -> Response:
    """The workspace's agents, newest first."""
    cursor = request.args.get("cursor")
    found, after = agents.page(db(), workspace_id(), limit=DEFAULT_LIMIT, cursor=cursor)
    processes, lights = one.lights(found)
    return answers.page(
        "agents/list.html",
        agents=found,
        after=after,
        turned=bool(cursor),
        processes=processes,
        lights=lights,
        # Today's ledger may be long: it is read for the page, and not each time that it is renewed.
        spent={} if answers.by_htmx() else _spent(),
    )


@views.get("/agents/new")
def new() -> Response:
    """A form to make one."""
    return answers.page("agents/new.html", providers=providers_to_choose())


@views.post("/agents")
def create() -> Response:
    """Make an agent, with its provider and key. What else it has is set on its settings' page."""
    sent = {name: text.strip() for name, text in request.form.items() if text.strip()}
    given: Document = {name: sent[name] for name in ("name", "description", "system_prompt") if name in sent}
    config = settings.of_provider(sent)
    try:
        body = NewAgent.model_validate(given | ({"llm_config": config} if config else {}))
    except ValidationError as error:
        raise problems.invalid(error) from None
    agent = door.create(body.given())
    return answers.go(f"/agents/{agent['_id']}", f"{agent['name']} is made.")


def _spent() -> Document:
    """What each agent used in this month."""
    during = period(utcnow(), name="month")
    found = usage.of_workspace(db(), workspace_id(), during).by("agent_id")
    return {key["agent_id"]: sums for key, sums in found}
