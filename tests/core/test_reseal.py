"""Re-sealing while the system runs: no reader fails, and nothing sealed under the old key remains."""

from __future__ import annotations

import os
import threading
from functools import partial

import pytest

from core import reseal, signing
from core.accounts import workspaces
from core.agents import agent_config, agents, credentials
from core.chat import chat
from core.config import Settings
from core.crypto import Sealer
from core.jobs import accept, claim
from core.llm import plan
from core.llm.keyring import Keyring
from tests.factory import Sent, draft

OLD, NEW = os.urandom(32), os.urandom(32)
BEFORE, BOTH, AFTER = Sealer(OLD), Sealer(NEW, [OLD]), Sealer(NEW)
SETTINGS = Settings()
KEY = "sk-secret-0123456789"


def sealed_under(sealer, db):
    """Where in the database something is sealed under this key."""
    mark = f"v1.{sealer.key_id}."
    return [(n, d["_id"]) for n in db.list_collection_names() for d in db[n].find() if mark in str(d)]


def make_agent(db, name, sealer, **config):
    def configure(agent_id, stored):
        return agent_config.configured(
            {"provider": "openai", **config},
            stored,
            workspace_id="w1",
            agent_id=agent_id,
            sealer=sealer,
            settings=SETTINGS,
            find_credential=partial(credentials.find, db, "w1"),
        )

    return agents.create(db, "w1", {"name": name}, configure)


def put_credential(db, sealer):
    given = {"provider": "openai", "api_key": KEY}
    return credentials.put(db, "w1", "main", given, sealer=sealer, settings=SETTINGS)


def accept_chat(db, agent):
    made = chat.plan(agent, settings=SETTINGS, find_credential=partial(credentials.find, db, "w1"))
    return accept.accept(db, Sent(), draft(agent_id=agent["_id"], plan=made))[0]


def keys_of(db, job, sealer):
    """The keys that a job's calls would be made with."""
    agent = agents.get(db, "w1", job["agent_id"])
    find = partial(credentials.find, db, "w1")
    keyring = Keyring("w1", agent["_id"], lambda: agent["llm_config"], find, sealer, SETTINGS)
    return [target.with_key().api_key for target in plan.targets(job["plan"]["targets"], keyring)]


@pytest.fixture
def filled(db):
    """A store with everything that is sealed, all of it under the old key."""
    workspaces.make(db, "One", "w1")
    put_credential(db, BEFORE)
    own = make_agent(db, "own", BEFORE, api_key=KEY, keys={"minimax": KEY})
    shared = make_agent(db, "shared", BEFORE, credential="main")
    jobs = [accept_chat(db, agent) for agent in (own, shared)]
    running = claim.claim(db, accept_chat(db, own)["_id"], "a-worker")
    done = claim.claim(db, accept_chat(db, own)["_id"], "a-worker")
    claim.finish(db, done, status="succeeded", calls=[], result={})
    secret = signing.secret(db, BEFORE, "w1")
    return {"agents": [own, shared], "jobs": [*jobs, running], "secret": secret}


def test_nothing_sealed_under_the_old_key_remains_and_all_of_it_opens(db, filled):
    report = reseal.everything(db, BOTH, SETTINGS, sleep=lambda _: None)
    assert report["cannot_open"] == []
    assert report["resealed"] == 1 + 1 + 1  # own agent, credential, webhook secret
    assert sealed_under(BEFORE, db) == []
    for job in filled["jobs"]:
        assert set(keys_of(db, job, AFTER)) == {KEY}
    assert signing.secret(db, AFTER, "w1") == filled["secret"]


def test_it_changes_nothing_the_second_time(db, filled):
    reseal.everything(db, BOTH, SETTINGS, sleep=lambda _: None)
    assert reseal.everything(db, BOTH, SETTINGS)["resealed"] == 0


def test_no_reader_fails_meanwhile_and_late_writers_are_caught(db, filled):
    stop, failures, read = threading.Event(), [], [0]

    def reader(agent):
        """A worker and a web process in one: accept with what is stored now, then open it."""
        while not stop.is_set():
            try:
                job = accept_chat(db, agents.get(db, "w1", agent["_id"]))
                assert set(keys_of(db, job, BOTH)) == {KEY}
                read[0] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                failures.append(repr(error))
                return

    def late_writer():
        """A web process that has not been restarted seals under the old key a few times more."""
        for n in range(5):
            make_agent(db, f"late-{n}", BEFORE, api_key=KEY)
            put_credential(db, BEFORE)

    threads = [threading.Thread(target=reader, args=(a,)) for a in filled["agents"]]
    threads.append(threading.Thread(target=late_writer))
    for thread in threads:
        thread.start()
    reseal.everything(db, BOTH, SETTINGS, sleep=lambda _: threads[-1].join())
    stop.set()
    for thread in threads:
        thread.join()
    reseal.everything(db, BOTH, SETTINGS, sleep=lambda _: None)
    assert failures == []
    assert read[0] > 5
    assert sealed_under(BEFORE, db) == []


def test_what_no_key_opens_is_named_and_the_rest_is_done(db, filled):
    lost = make_agent(db, "lost", Sealer(os.urandom(32)), api_key=KEY)
    report = reseal.everything(db, BOTH, SETTINGS, sleep=lambda _: None)
    assert report["cannot_open"] == [lost["_id"]]
    assert sealed_under(BEFORE, db) == []
