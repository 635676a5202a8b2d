"""What a worker hears, and what it reads because it may not have heard it."""

import threading

import pytest

from core.jobs.claim import claim
from core.jobs.run import Run, Runner
from core.services import Services
from tests.factory import Sent, queued
from tests.waiting import until
from workers import listening
from workers.broker import make_broker
from workers.threads import ThreadWork


@pytest.fixture
def over():
    told = threading.Event()
    yield told.is_set
    told.set()


@pytest.fixture
def worker(settings, db, redis_client):
    """A runner that beats fast, and its broker."""
    settings = settings.model_copy(update={"mongodb_database": db.name, "beat_s": 0.05})
    services = Services(settings, db.client, redis_client, None, Sent())
    return Runner(services, "p1", {}, start=ThreadWork, lost=lambda: False), make_broker(redis_client)


def test_who_has_nothing_under_way_and_knows_of_all_its_jobs_reads_none(worker, over, db, monkeypatch):
    runner, broker = worker
    read = []
    monkeypatch.setattr(listening, "_read_jobs", lambda *_: read.append(1))
    listening.start(runner.services.settings, runner, broker, over=over, running=None)
    for paused in ("chat", "drive"):  # a beat ends with these
        db.queues.insert_one({"_id": paused, "paused": True})
        until(lambda queue=paused: queue in broker.paused, "a beat has passed", seconds=60)
    assert read == []
    runner.running["a job"] = None
    until(lambda: read, "it reads", seconds=60)


def test_a_cancellation_that_was_not_heard_is_read(worker, over, db):
    runner, broker = worker
    jobs = [claim(db, queued(db)["_id"], owner) for owner in ("p1", "p1", "p2")]
    runs = [Run(runner.services, job) for job in jobs]
    runner.running |= {job["_id"]: run for job, run in zip(jobs, runs, strict=True)}
    told = {"_id": {"$in": [jobs[0]["_id"], jobs[2]["_id"]]}}
    db.jobs.update_many(told, {"$set": {"cancel_requested": True}})
    heard = []
    listening.start(runner.services.settings, runner, broker, over=over, running=heard.append)
    until(lambda: runs[0].stopped, "it is told", seconds=60)
    assert [run.stopped for run in runs] == ["cancelled", None, None]
    assert set(heard[0]) == {jobs[0]["_id"], jobs[1]["_id"]}


def test_who_may_have_jobs_that_it_did_not_hear_of_looks_for_them(worker, over, db):
    runner, broker = worker
    job = claim(db, queued(db)["_id"], "p1")
    heard = []
    listening.start(runner.services.settings, runner, broker, over=over, running=heard.append)
    until(lambda: heard, "it looks", seconds=60)
    assert list(heard[0]) == [job["_id"]]


def test_what_was_paused_before_anybody_listened_is_paused_long_before_the_first_beat(
    settings, db, redis_client, over
):
    settings = settings.model_copy(update={"mongodb_database": db.name, "beat_s": 3600.0})
    services = Services(settings, db.client, redis_client, None, Sent())
    broker = make_broker(redis_client)
    runner = Runner(services, "p1", {}, start=ThreadWork, lost=lambda: False)
    db.queues.insert_one({"_id": "chat", "paused": True})
    listening.start(settings, runner, broker, over=over, running=lambda _: None)
    until(lambda: broker.paused == {"chat"}, "it has read what is paused", seconds=60)


def test_one_that_ends_takes_nothing_anew_whichever_queues_go_on(worker):
    runner, broker = worker
    runner.drain()
    broker.paused = frozenset({"chat"})
    listening._read_settings(runner, broker)
    assert broker.paused == {"chat"}
