"""The backlog: whose jobs wait, as Redis knows it, or the documents where Redis does not."""

import uuid
from datetime import UTC, datetime

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.jobs import backlog, queues
from core.jobs.claim import claim
from core.jobs.lanes import SINCE, Lanes, ring_of, ticket
from core.jobs.model import INTERACTIVE
from tests.factory import queued


@pytest.fixture
def lanes(redis_client):
    return Lanes(redis_client)


def by(db, client):
    return {where: n for where, (n, _) in backlog.read(db, client).items()}


def test_what_redis_lost_is_counted_among_the_documents(db, redis_client, lanes):
    jobs = [queued(db, sent=lanes.send, workspace_id=whose) for whose in ("w1", "w2", "w2")]
    claim(db, queued(db)["_id"], "p1")
    redis_client.flushdb()
    assert by(db, redis_client) == {("chat", "w1"): 1, ("chat", "w2"): 2}
    oldest = min(job["created_at"] for job in jobs[1:])
    assert backlog.read(db, redis_client)["chat", "w2"] == (2, oldest)


def test_redis_is_asked_alone_once_more_wait_than_are_quickly_counted(db, redis_client, lanes, monkeypatch):
    monkeypatch.setattr(backlog, "FEW", 3)
    jobs = [queued(db, background=n == 1) for n in range(5)]
    for job in jobs[:3]:
        lanes.send(job)
    lanes.park(ticket(jobs[3]), "w1/key:k1")
    lanes.send({**jobs[4], "queue": "echo.h1", "workspace_id": "w2"})
    db.jobs.delete_many({})
    redis_client.decrby(SINCE, backlog.WHOLE_S)
    assert by(db, redis_client) == {("chat", "w1"): 4, ("echo.h1", "w2"): 1}
    oldest = datetime.fromtimestamp((uuid.UUID(jobs[0]["_id"]).int >> 80) / 1000, UTC)  # as its id says
    assert backlog.read(db, redis_client)["chat", "w1"][1] == oldest


def test_while_an_emptied_redis_is_told_anew_the_documents_are_counted(db, redis_client, lanes, monkeypatch):
    monkeypatch.setattr(backlog, "FEW", 1)
    jobs = [queued(db, sent=lanes.send) for _ in range(4)]
    redis_client.flushdb()
    for job in jobs[:2]:
        lanes.send(job)
    assert by(db, redis_client) == {("chat", "w1"): 4}
    redis_client.decrby(SINCE, backlog.WHOLE_S)
    lanes.send(jobs[2])
    assert by(db, redis_client) == {("chat", "w1"): 3}


def test_an_id_that_is_not_one_of_ours_hides_nobody(db, redis_client, lanes, monkeypatch):
    monkeypatch.setattr(backlog, "FEW", 1)
    job = queued(db, sent=lanes.send)
    lanes.send({**job, "_id": "no uuid", "workspace_id": "w2"})
    redis_client.zadd(f"{ring_of('chat', INTERACTIVE)}:w1", {b"\xff no text": 1})
    redis_client.decrby(SINCE, backlog.WHOLE_S)
    assert by(db, redis_client) == {("chat", "w1"): 2, ("chat", "w2"): 1}


def test_without_redis_the_documents_say_it(db):
    queued(db)
    with redis.Redis(port=1, retry=Retry(NoBackoff(), 0)) as away:
        assert by(db, away) == {("chat", "w1"): 1}


def test_the_overview_says_who_waits_those_with_most_first(db, redis_client, lanes):
    for whose in ("w1", "w2", "w2"):
        queued(db, sent=lanes.send, workspace_id=whose)
    (chat, *_) = queues.overview(db, redis_client)
    assert (chat["name"], chat["depth"]) == ("chat", 3)
    assert [(one["workspace_id"], one["depth"]) for one in chat["waiting"]] == [("w2", 2), ("w1", 1)]
    assert chat["oldest_age_s"] >= chat["waiting"][0]["oldest_age_s"] >= 0
    assert queues.waiting(db, redis_client, "w2")["depth"] == 2
    assert queues.waiting(db, redis_client, "w9") == {"depth": 0, "oldest_age_s": None}


def test_a_job_that_says_its_queue_oddly_hides_no_queue(db, redis_client):
    for status in ("queued", "running"):
        ids = [queued(db)["_id"] for _ in range(2)]
        db.jobs.update_many({"_id": {"$in": ids}}, {"$set": {"status": status}})
        db.jobs.update_one({"_id": ids[0]}, {"$set": {"queue": None}})
    (chat, *_) = queues.overview(db, redis_client)
    assert (chat["name"], chat["depth"], chat["running"]) == ("chat", 1, 1)
