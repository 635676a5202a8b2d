"""Whom a job asks: keys are remembered for a moment, and by nobody once their change was answered."""

from __future__ import annotations

from functools import partial

import pytest

from core.agents import agents, credentials
from core.chat import targets
from core.jobs.run import Run
from core.llm import plan
from core.llm.failures import KeyGone
from core.services import Services
from tests.core.llm.test_keyring import NEW, OLD, SEALER, SETTINGS, credential, drop_credential, put


@pytest.fixture
def running(db):
    """Makes an agent, beside a credential; gives its id, and what a worker would send now for its job."""

    def make(**config):
        credential(db, OLD)
        agent = put(db, agents.create(db, "w1", {"name": "scout"}, None)["_id"], **config)
        find = partial(credentials.find, db, "w1")
        planned = plan.make(agent["_id"], agent["llm_config"], settings=SETTINGS, find_credential=find)
        job = {"workspace_id": "w1", "agent_id": agent["_id"], "plan": {"targets": planned}}
        own = SETTINGS.model_copy(update={"mongodb_database": db.name})
        services = Services(own, db.client, None, SEALER, None)
        return agent["_id"], lambda: targets.of(Run(services, job))[0].with_key().api_key, services

    return make


def test_what_was_read_a_moment_ago_is_not_read_again(db, running):
    agent_id, sent, services = running(credential="main")
    services.keys.kept_s = 60
    assert sent() == OLD
    db.agents.delete_one({"_id": agent_id})
    db.credentials.delete_many({})
    assert sent() == OLD


def test_another_workspaces_credential_of_that_name_is_another(running):
    _, sent, services = running(credential="main")
    assert sent() == OLD
    other = {"_id": "w2/main", "workspace_id": "w2", "name": "main"}
    assert services.keys.get(("credential", "w2", "main"), lambda: other) == other


CHANGES = {
    "the agent's key is replaced": ({"api_key": OLD}, lambda db, agent_id: put(db, agent_id, api_key=NEW)),
    "the credential is rotated": ({"credential": "main"}, lambda db, agent_id: credential(db, NEW)),
}
REMOVALS = {
    "the credential is removed": ({"credential": "main"}, drop_credential),
    "the agent is removed": (
        {"api_key": OLD},
        lambda db, agent_id: agents.delete(db, agents.get(db, "w1", agent_id)),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_was_answered_finds_the_new_key_in_use(db, running, change):
    config, do = CHANGES[change]
    agent_id, sent, _ = running(**config)
    assert sent() == OLD
    do(db, agent_id)
    assert sent() == NEW


@pytest.mark.parametrize("removal", REMOVALS)
def test_whoever_was_answered_finds_the_removed_key_gone(db, running, removal):
    config, do = REMOVALS[removal]
    agent_id, sent, _ = running(**config)
    assert sent() == OLD
    do(db, agent_id)
    with pytest.raises(KeyGone):
        sent()
