"""The keyring: a call begins with the key that is there then, or it does not begin."""

from __future__ import annotations

import os
from functools import partial
from types import SimpleNamespace

import pytest

from core.agents import agent_config, agents, credentials
from core.config import Settings
from core.crypto import Sealer
from core.errors import JobFailed
from core.llm import keyring as keyring_module
from core.llm import plan
from core.llm.failures import Elsewhere, KeyGone
from core.llm.keyring import KEPT_S, Keyring

SEALER = Sealer(os.urandom(32))
SETTINGS = Settings()
OLD, NEW = "sk-old-0123456789", "sk-new-0123456789"
ELSEWHERE = {"custom_endpoint": "https://elsewhere.example.com/v1", "model": "m"}


def put(db, agent_id, **given):
    """The agent with this configuration instead of its own."""

    def configure(agent_id, stored):
        return agent_config.configured(
            {"provider": "openai", **given},
            stored,
            workspace_id="w1",
            agent_id=agent_id,
            sealer=SEALER,
            settings=SETTINGS,
            find_credential=partial(credentials.find, db, "w1"),
        )

    return agents.change(db, agents.get(db, "w1", agent_id), {}, configure)


def credential(db, key, **given):
    asked = {"provider": "openai", "api_key": key, **given}
    credentials.put(db, "w1", "main", asked, sealer=SEALER, settings=SETTINGS)


@pytest.fixture
def accepted(db):
    """Makes an agent; gives its id and the targets of a job that was accepted with this configuration."""

    def make(**config):
        agent = put(db, agents.create(db, "w1", {"name": "scout"}, None)["_id"], **config)
        find = partial(credentials.find, db, "w1")
        planned = plan.make(agent["_id"], agent["llm_config"], settings=SETTINGS, find_credential=find)
        return agent["_id"], plan.targets(planned, keyring(db, agent["_id"]))

    return make


def keyring(db, agent_id, sealer=SEALER):
    def config():
        found = db.agents.find_one({"_id": agent_id})
        return found and found["llm_config"]

    return Keyring("w1", agent_id, config, partial(credentials.find, db, "w1"), sealer, SETTINGS)


def sent(target):
    return target.with_key().api_key


def test_an_agents_key_that_was_replaced_while_its_job_waited_is_not_sent(db, accepted):
    agent_id, (target, *_) = accepted(api_key=OLD)
    put(db, agent_id, api_key=NEW)
    assert sent(target) == NEW


def test_a_credential_that_was_rotated_while_a_job_waited_is_not_sent(db, accepted):
    credential(db, OLD)
    _, (target, *_) = accepted(credential="main")
    credential(db, NEW)
    assert sent(target) == NEW


def test_a_fallbacks_key_that_was_replaced_while_a_job_waited_is_not_sent(db, accepted):
    agent_id, (_, fallback) = accepted(api_key=OLD, keys={"minimax": OLD})
    put(db, agent_id, keys={"minimax": NEW})
    assert sent(fallback) == NEW


def test_between_two_tries_of_one_call_the_key_may_change(db, accepted):
    agent_id, (target, *_) = accepted(api_key=OLD)
    assert sent(target) == OLD
    put(db, agent_id, api_key=NEW)
    assert sent(target) == NEW


def drop_agent(db, agent_id):
    db.agents.delete_one({"_id": agent_id})


def drop_credential(db, agent_id):
    credentials.delete(db, credentials.get(db, "w1", "main"))


CHANGES = {
    "the agent goes elsewhere with another key": lambda db, a: put(db, a, api_key=NEW, **ELSEWHERE),
    "its key is removed": lambda db, a: put(db, a, api_key=None, **ELSEWHERE),
    "it has another provider": lambda db, a: put(db, a, provider="minimax", api_key=NEW),
    "it uses a credential instead": lambda db, a: (credential(db, NEW), put(db, a, credential="main")),
    "it asks the sandbox": lambda db, a: put(db, a, provider="sandbox"),
    "it is gone": drop_agent,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_without_its_key_for_this_address_no_call_begins_and_nobody_else_is_asked(db, accepted, change):
    agent_id, (target, *_) = accepted(api_key=OLD)
    change(db, agent_id)
    with pytest.raises(KeyGone) as gone:
        sent(target)
    assert gone.value.elsewhere is Elsewhere.NONE


OF_CREDENTIALS = {
    "it is gone": drop_credential,
    "it is for another address": lambda db, a: credential(db, NEW, **{**ELSEWHERE, "model": None}),
    "its agent uses a key of its own": lambda db, a: put(db, a, api_key=NEW),
}


@pytest.mark.parametrize("change", OF_CREDENTIALS.values(), ids=OF_CREDENTIALS)
def test_without_the_credential_for_this_address_no_call_begins(db, accepted, change):
    credential(db, OLD)
    agent_id, (target, *_) = accepted(credential="main")
    change(db, agent_id)
    with pytest.raises(KeyGone):
        sent(target)


def test_a_fallback_whose_key_was_removed_is_passed_over(db, accepted):
    agent_id, (_, fallback) = accepted(api_key=OLD, keys={"minimax": OLD})
    put(db, agent_id, keys={"minimax": None})
    with pytest.raises(KeyGone) as gone:
        sent(fallback)
    assert gone.value.elsewhere is Elsewhere.ALL


def test_a_target_that_was_planned_without_a_key_costs_no_read(db, accepted):
    def nobody(*_):
        raise AssertionError("it was read")

    agent_id, _ = accepted(**ELSEWHERE)
    config = agents.get(db, "w1", agent_id)["llm_config"]
    planned = plan.make(agent_id, config, settings=SETTINGS, find_credential=nobody)
    (target,) = plan.targets(planned, Keyring("w1", agent_id, nobody, nobody, SEALER, SETTINGS))
    assert sent(target) is None


def test_another_encryption_key_is_told_in_words(db, accepted):
    agent_id, _ = accepted(api_key=OLD)
    config = agents.get(db, "w1", agent_id)["llm_config"]
    planned = plan.make(agent_id, config, settings=SETTINGS, find_credential=lambda _: None)
    (target, *_) = plan.targets(planned, keyring(db, agent_id, Sealer(os.urandom(32))))
    with pytest.raises(JobFailed, match="sealed under an encryption key that is not configured") as failed:
        sent(target)
    assert failed.value.code == "cannot_open_key"


def test_a_job_of_an_earlier_version_sends_the_key_of_now_too(db, accepted):
    agent_id, _ = accepted(api_key=OLD)
    target = {
        "provider": "openai",
        "model": "m",
        "wire": "openai",
        "base_url": "https://api.openai.com/v1",
        "key_kind": "byokey",
        "tier": None,
        "sealed": "v1.of-then.text",
        "holder": f"agent:{agent_id}",
    }
    put(db, agent_id, api_key=NEW)
    assert sent(plan.targets([target], keyring(db, agent_id))[0]) == NEW


LATE = {
    "an agent's key": lambda db, a: put(db, a, api_key=NEW),
    "an agent": lambda db, a: agents.delete(db, agents.get(db, "w1", a)),
    "a credential's key": lambda db, a: credential(db, NEW),
    "a credential": drop_credential,
}


@pytest.mark.parametrize("change", LATE.values(), ids=LATE)
def test_who_changes_a_key_is_answered_when_no_process_remembers_the_old_one(
    db, accepted, monkeypatch, change
):
    agent_id, _ = accepted(api_key=OLD)
    credential(db, OLD)
    stored = [list(db.agents.find()), list(db.credentials.find())]
    waited = []

    def sleep(seconds):
        changed = [list(db.agents.find()), list(db.credentials.find())] != stored
        waited.append((seconds, changed))

    monkeypatch.setattr(keyring_module, "time", SimpleNamespace(sleep=sleep))
    change(db, agent_id)
    assert waited == [(KEPT_S, True)]
