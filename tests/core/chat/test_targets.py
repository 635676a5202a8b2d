"""Whom a job asks: keys are remembered for a moment, and by nobody once their change was answered."""

from __future__ import annotations

import os
from functools import partial

import pytest

from core.agents import agent_config, agents, credentials
from core.chat import targets
from core.config import Settings
from core.crypto import Sealer
from core.jobs.run import Run
from core.llm import plan
from core.llm.failures import KeyGone
from core.services import Services

SEALER = Sealer(os.urandom(32))
SETTINGS = Settings()
OLD, NEW = "sk-old-0123456789", "sk-new-0123456789"


def configure(db, given):
    return lambda agent_id, stored: agent_config.configured(
        {"provider": "openai", **given},
        stored,
        workspace_id="w1",
        agent_id=agent_id,
        sealer=SEALER,
        settings=SETTINGS,
        find_credential=partial(credentials.find, db, "w1"),
    )


def put_credential(db, key):
    asked = {"provider": "openai", "api_key": key}
    credentials.put(db, "w1", "main", asked, sealer=SEALER, settings=SETTINGS)


@pytest.fixture
def running(db):
    """Makes an agent; gives it, and what a worker would send now for a job that it accepted at the start."""

    def make(**config):
        agent = agents.create(db, "w1", {"name": "scout"}, None)
        agent = agents.change(db, agent, {}, configure(db, config))
        planned = plan.make(
            agent["_id"],
            agent["llm_config"],
            settings=SETTINGS,
            find_credential=partial(credentials.find, db, "w1"),
        )
        job = {"workspace_id": "w1", "agent_id": agent["_id"], "plan": {"targets": planned}}
        services = Services(
            SETTINGS.model_copy(update={"mongodb_database": db.name}), db.client, None, SEALER, None
        )
        return agent, lambda: targets.of(Run(services, job))[0].with_key().api_key, services

    return make


def test_what_was_read_a_moment_ago_is_not_read_again(db, running):
    put_credential(db, OLD)
    agent, sent, services = running(credential="main")
    services.keys.kept_s = 60
    assert sent() == OLD
    db.agents.delete_one({"_id": agent["_id"]})
    db.credentials.delete_many({})
    assert sent() == OLD


def test_another_workspaces_credential_of_that_name_is_another(db, running):
    put_credential(db, OLD)
    _, sent, services = running(credential="main")
    assert sent() == OLD
    other = {"_id": "w2/main", "workspace_id": "w2", "name": "main"}
    assert services.keys.get(("credential", "w2", "main"), lambda: other) == other


CHANGES = {
    "the agent's key is replaced": (
        {"api_key": OLD},
        lambda db, agent: agents.change(db, agent, {}, configure(db, {"api_key": NEW})),
    ),
    "the credential is rotated": ({"credential": "main"}, lambda db, agent: put_credential(db, NEW)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_was_answered_finds_the_new_key_in_use(db, running, change):
    config, to = CHANGES[change]
    put_credential(db, OLD)
    agent, sent, _ = running(**config)
    assert sent() == OLD
    to(db, agent)
    assert sent() == NEW


REMOVALS = {
    "the credential is removed": (
        {"credential": "main"},
        lambda db, agent: credentials.delete(db, credentials.get(db, "w1", "main")),
    ),
    "the agent is removed": ({"api_key": OLD}, lambda db, agent: agents.delete(db, None, agent)),
}


@pytest.mark.parametrize("removal", REMOVALS)
def test_whoever_was_answered_finds_the_removed_key_gone(db, running, removal):
    config, remove = REMOVALS[removal]
    put_credential(db, OLD)
    agent, sent, _ = running(**config)
    assert sent() == OLD
    remove(db, agent)
    with pytest.raises(KeyGone):
        sent()
