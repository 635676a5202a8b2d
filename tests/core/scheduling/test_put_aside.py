"""One document that a loop cannot handle: the others are handled; it is written down and left for later."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from pymongo.errors import AutoReconnect

from core.callbacks import Courier
from core.clock import utcnow
from core.crypto import Sealer
from core.deliveries import born
from core.drive import mend, quota
from core.history import batches
from core.history import rollups as history
from core.jobs.claim import claim, finish
from core.jobs.reconcile import Reconciler
from core.metering import allowances, recent, rollups, statements
from core.retention import Purge
from core.runtime.poll import Poll
from core.store import aside
from tests.core.metering.rows import call, enter, finished, managed, put, row
from tests.factory import CALL, Sent, queued
from tests.waiting import until

LONG_AGO = utcnow() - timedelta(days=70)


def meter(db, _):
    finished(db, [call(started_at=None)])
    finished(db, [call()])
    return lambda: enter(db), lambda: db.token_usage.count_documents({}) == 1


def outbox(db, _):
    finished(db, [call()], callback_url=7)
    finished(db, [call()], callback_url="https://example.com/hook")
    return lambda: enter(db), lambda: db.deliveries.count_documents({}) == 1


def callbacks(db, _):
    db.workspaces.insert_one({"_id": "w1", "webhook_secret": None})
    for name, without in (("bad", "origin"), ("good", "")):
        told = {"workspace_id": "w1", "job_id": None, "event": "e", "url": "https://example.com/"}
        delivery = born(name, **told, now=utcnow()) | {"payload": {}}
        db.deliveries.insert_one({field: value for field, value in delivery.items() if field != without})
    courier = Courier(db, Sealer(b"k" * 32), lambda *_: 200)

    def tick():
        done = courier.tick()
        until(lambda: db.deliveries.find_one({"_id": "good"})["state"] == "delivered", "it is delivered")
        return done

    return tick, lambda: True


def of_rollups(db, _):
    put(db, [row(LONG_AGO), row(LONG_AGO, agent="a2", workspace="w2")])
    db.usage_days.update_one({"workspace_id": "w1"}, {"$unset": {"rev": ""}})
    return lambda: rollups.tick(db), lambda: db.usage_daily.count_documents({"workspace_id": "w2"}) == 1


def of_recent(db, _):
    put(db, [row(utcnow()), row(utcnow(), agent="a2", workspace="w2")])
    db.usage_recent.update_one({"workspace_id": "w1"}, {"$unset": {"rev": ""}})
    later = utcnow() + timedelta(minutes=15)
    closed = {"workspace_id": "w2", "open": False}
    return lambda: recent.tick(db, later), lambda: db.usage_recent.count_documents(closed) == 1


def of_allowances(db, _):
    put(db, [managed(utcnow(), (10, 10)), managed(utcnow(), (10, 10), agent="a2")])
    db.usage_allowances.update_one({"agent_id": "a1"}, {"$unset": {"rev": ""}})
    computed = {"agent_id": "a2", "used": 20}
    return (
        lambda: allowances.tick(db, {"economy": 5}),
        lambda: db.usage_allowances.count_documents(computed) == 1,
    )


def of_statements(db, _):
    put(db, [row(LONG_AGO), row(LONG_AGO, workspace="w2")])
    for _ in range(2):
        rollups.tick(db)
    db.usage_months.update_one({"workspace_id": "w1"}, {"$unset": {"rev": ""}})
    return lambda: statements.tick(db, {}), lambda: db.statements.count_documents({"workspace_id": "w2"}) == 1


def of_history(db, others):
    db.workspaces.insert_many([{"_id": "w1"}, {"_id": "w2"}])
    for workspace in ("w1", "w2"):
        job = claim(db, queued(db, workspace_id=workspace)["_id"], "p1")
        batches.note(db, [finish(db, job, status="succeeded", calls=[CALL], result={})], [])
    db.history_batches.update_one({"workspace_id": "w1"}, {"$set": {"jobs": [{"id": "j1", "queue": "chat"}]}})
    slot = utcnow() + timedelta(minutes=1)
    of_the_other = {"workspace_id": "w2"}
    return lambda: history.tick(db, others.redis, slot), lambda: db.history_minutes.find_one(of_the_other)


def reconcile(db, _):
    jobs = [claim(db, queued(db)["_id"], "gone") for _ in range(2)]
    db.jobs.update_one({"_id": jobs[0]["_id"]}, {"$set": {"lost": 7}})
    reconciler = Reconciler(db, Sent(), ended=lambda _: None, lease_s=15)
    return reconciler.tick, lambda: db.jobs.find_one({"_id": jobs[1]["_id"]})["status"] == "queued"


def drive(db, _):
    arriving = {"state": "arriving", "upload_id": "u1", "workspace_id": "w1", "revision": 1}
    db.drive_files.insert_many(
        [{"_id": "bad", **arriving}, {"_id": "good", **arriving, "created_at": LONG_AGO}]
    )
    tick = lambda: mend.tick(db, Sent(), staging_s=60)  # noqa: E731
    return tick, lambda: db.drive_files.find_one({"_id": "good"})["state"] == "deleting"


def drive_quota(db, _):
    db.drive_usage.insert_many([{"_id": "bad", "open": 7}, {"_id": "good", "open": {"u1": 1}, "bytes": 1}])
    return lambda: quota.tick(db), lambda: db.drive_usage.find_one({"_id": "good"})["open"] == {}


def purge(db, others):
    for plan in ("unreadable", {"content_retention": "none"}):
        job = claim(db, queued(db)["_id"], "p1")
        finish(db, job, status="succeeded", calls=[], result={})
        past = {"send_after": LONG_AGO, "finished_at": LONG_AGO, "plan": plan}
        db.jobs.update_one({"_id": job["_id"]}, {"$set": past, "$unset": {"meter": ""}})
    return Purge(
        db, others.redis, others.settings
    ).tick, lambda: db.jobs.count_documents({"request": None}) == 1


def runtimes(db, _):
    db.runtimes.insert_many([{"_id": name, "listens": name, "alerts_due": True} for name in ("bad", "good")])
    moves = {"events": [], "told": 0, "rev": 1, "workspace_id": "w1"}
    db.runtimes.update_one({"_id": "good"}, {"$set": moves})
    return Poll(db, patience_s=1).tick, lambda: not db.runtimes.find_one({"_id": "good"})["alerts_due"]


LOOPS = {
    "meter": meter,
    "meter, its callbacks": outbox,
    "callbacks": callbacks,
    "rollups": of_rollups,
    "recent": of_recent,
    "allowances": of_allowances,
    "statements": of_statements,
    "history": of_history,
    "reconcile": reconcile,
    "drive": drive,
    "drive, its quota": drive_quota,
    "purge": purge,
    "runtimes": runtimes,
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_goes_on_and_comes_back_to_the_document_later(db, redis_client, settings, loop):
    tick, done = LOOPS[loop](db, SimpleNamespace(redis=redis_client, settings=settings))
    tick()
    assert done()
    name = loop.partition(",")[0]
    ((found, (one,)),) = aside.listed(db).items()
    assert (found, one["times"]) == (name, 1)
    assert one["next_at"] > one["at"]
    tick()
    assert aside.listed(db)[name][0]["times"] == 1, "it was tried again at once"
    db.aside.update_many({}, {"$set": {"next_at": LONG_AGO}})
    tick()
    assert aside.listed(db)[name][0]["times"] == 2, "it was not tried again"


def test_what_is_handled_at_last_is_forgotten(db):
    broken = {"bad"}

    def handle(document):
        if document["_id"] in broken:
            raise ValueError(document)
        return document["_id"]

    documents = [{"_id": "bad"}, {"_id": "good"}]
    assert aside.each(db, "loop", documents, handle) == ["good"]
    assert aside.counted(db) == {"loop": 1}
    assert db.things.count_documents(aside.waiting(db, "loop")) == 0
    broken.clear()
    assert aside.each(db, "loop", documents, handle) == ["good"]
    db.aside.update_many({}, {"$set": {"next_at": LONG_AGO}})
    assert aside.each(db, "loop", documents, handle) == ["bad", "good"]
    assert aside.counted(db) == {}


def test_an_outage_is_no_documents_fault(db):
    def handle(_):
        raise AutoReconnect("away")

    with pytest.raises(AutoReconnect):
        aside.each(db, "loop", [{"_id": "good"}], handle)
    assert aside.counted(db) == {}


def test_each_time_it_is_left_alone_for_longer(db):
    pauses = []
    for _ in range(len(aside.PAUSES) + 1):
        aside.put(db, "loop", "bad", ValueError())
        found = db.aside.find_one({"document": "bad"})
        pauses.append(found["next_at"] - found["at"])
    assert pauses == [*aside.PAUSES, aside.PAUSES[-1]]
