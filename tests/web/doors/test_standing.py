"""Whether a key still stands: a stream, and whoever waits for an answer, hear no more once it was revoked."""

from __future__ import annotations

from contextlib import closing

import pytest
from pymongo import MongoClient

from core.accounts import keys
from core.jobs import signals
from core.jobs.claim import claim
from core.jobs.events import Emitter
from core.runtime import placement
from core.runtime.folder import Folder
from core.runtime.log_requests import LogServer, channel
from core.services import connect_redis
from tests.core.runtime.conftest import here
from tests.factory import queued
from tests.waiting import until
from tests.web.asking import HELLO
from web.context import STREAMS
from web.doors import standing
from web.doors.orders import STILL_HERE


@pytest.fixture(autouse=True)
def always_looking(monkeypatch):
    monkeypatch.setattr(standing, "LOOK_S", 0.0)


@pytest.fixture
def running(services, agent):
    """The id of a job that has said a word and says no more."""
    job = claim(services.db, queued(services.db, workspace_id="default", agent_id=agent)["_id"], "p1")
    Emitter(services.redis, job["_id"], 1).emit("delta", {"type": "content", "content": "word"})
    return job["_id"]


@pytest.fixture
def console(db, redis_client, settings, member, agent, tmp_path):
    """What the agent's process has printed: a file on its host, which answers for it."""
    here(db, "h1")
    placement.describe(db, "h1", capacity=5, free_mb=5000.0, used_mb=0, agents=0)
    assert member.post(f"/agents/{agent}/start").status_code == 202
    listening = connect_redis(settings)
    server = LogServer("h1", tmp_path, redis_client, listening)
    server.start()
    until(lambda: redis_client.pubsub_numsub(channel("h1"))[0][1], "it listens")
    folder = Folder(tmp_path / agent)
    folder.make()
    yield folder.console
    server.close()
    listening.close()


def key_of(client):
    return keys._id(client.headers["Authorization"].removeprefix("Bearer "))


def revoke(admin, client):
    assert admin.delete(f"/keys/{key_of(client)}").status_code == 204


def bind_to_another(admin, client):
    other = admin.post("/agents", {"name": "other"}).json["id"]
    assert admin.patch(f"/keys/{key_of(client)}", {"agents": [other]}).status_code == 200


@pytest.mark.parametrize("end", [revoke, bind_to_another])
def test_an_event_stream_ends_with_its_key(admin, member, running, end):
    said = member.get(f"/jobs/{running}/events").response
    assert any(b"word" in event for event in said)
    end(admin, member)
    rest = b"".join(said)
    assert b"done" not in rest


@pytest.mark.parametrize("end", [revoke, bind_to_another])
def test_an_event_stream_that_a_ticket_opened_ends_with_the_key_that_asked_for_it(
    admin, member, nobody, running, end
):
    ticket = member.post(f"/jobs/{running}/ticket").json["ticket"]
    said = nobody.get(f"/jobs/{running}/events", query_string={"ticket": ticket}).response
    assert any(b"word" in event for event in said)
    end(admin, member)
    assert b"done" not in b"".join(said)


@pytest.mark.parametrize("end", [revoke, bind_to_another])
def test_whoever_follows_a_log_reads_no_further_than_the_key_stands(admin, member, agent, console, end):
    console.write_text("one\n")
    with closing(member.get(f"/agents/{agent}/logs?follow=true")) as stream:
        said = stream.response
        assert b"one" in next(said)
        with console.open("a") as out:
            out.write("two\n")
        assert b"two" in next(line for line in said if b"line" in line)
        end(admin, member)
        assert list(said) == []


def test_a_log_that_is_followed_is_one_of_the_streams_of_its_key(app, member, agent, console):
    """It begins at once, also where nothing was printed yet."""
    app.extensions[STREAMS].most = 1
    path = f"/agents/{agent}/logs?follow=true"
    with closing(member.get(path)) as stream:
        assert next(stream.response) == STILL_HERE
        assert member.get(path).status_code == 429
    with closing(member.get(path)) as again:
        assert again.status_code == 200


def test_while_its_key_stands_a_stream_goes_on(services, member, running):
    said = member.get(f"/jobs/{running}/events").response
    assert any(b"word" in event for event in said)
    services.db.jobs.update_one({"_id": running}, {"$set": {"status": "failed"}})
    signals.publish(services.redis, signals.CHANGED, running)
    assert any(b"event: done" in event for event in said)


def test_whoever_waits_for_an_answer_is_refused_once_the_key_is_revoked(services, admin, member, agent):
    services.send = lambda *_: revoke(admin, member)
    answer = member.post(f"/agents/{agent}/chat", {"message": "hello"}, headers={"Prefer": "wait=60"})
    assert answer.status_code == 401
    assert services.db.jobs.find_one({})["status"] == "queued"


@pytest.mark.parametrize("stream", [False, True])
def test_the_door_refuses_a_key_that_was_revoked_and_cancels_its_job(services, admin, member, agent, stream):
    services.send = lambda *_: revoke(admin, member)
    body = {"model": agent, "messages": HELLO, "stream": stream}
    answer = member.post("/v1/chat/completions", body)
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "unauthorized")
    assert services.db.jobs.find_one({})["status"] == "cancelled"


def test_a_doors_stream_that_has_begun_ends_with_an_error(services, admin, member, agent):
    def begin(job):
        claim(services.db, job["_id"], "p1")
        Emitter(services.redis, job["_id"], 1).emit("delta", {"type": "content", "content": "word"})

    services.send = begin
    said = member.post("/v1/chat/completions", {"model": agent, "messages": HELLO, "stream": True}).response
    assert any(b"word" in chunk for chunk in said)
    revoke(admin, member)
    *_, last = said
    assert b'"code": "unauthorized"' in last
    assert services.db.jobs.find_one({})["cancel_requested"] is True


def test_a_store_that_is_away_ends_no_stream(app, services, member):
    with app.test_request_context("/api/v1/jobs", headers=member.headers):
        stands = standing.ended(None)
        services.mongo = MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=50)
        unknown = standing.ended(None)
        assert (stands(), unknown()) == (False, False)
        services.mongo.close()


def test_it_looks_now_and_then_and_does_not_change_its_mind(monkeypatch):
    monkeypatch.setattr(standing, "LOOK_S", 2.0)
    now, looks = [10.0], iter([False, True])
    over = standing.now_and_then(lambda: next(looks), clock=lambda: now[0])
    told = []
    for now[0] in (10.0, 11.9, 12.0, 13.9, 14.0, 99.0):
        told.append((now[0], over()))
    assert told == [(10.0, False), (11.9, False), (12.0, False), (13.9, False), (14.0, True), (99.0, True)]
