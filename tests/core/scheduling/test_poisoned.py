"""Each tick of the scheduler's table beside documents that have an odd value in one of their fields.

None of them fails it, and none keeps it from the good ones. A new tick needs a line in `HANDLED`.
"""

from __future__ import annotations

import traceback
from datetime import timedelta

import pytest
from bson.decimal128 import Decimal128
from structlog.testing import capture_logs

import scheduler
from core.clock import utcnow
from core.crypto import Sealer
from core.deliveries import born
from core.history import batches
from core.jobs.claim import claim, finish
from core.jobs.lanes import Lanes
from core.jobs.places import place
from core.runtime import instance_keys, records
from core.services import Services
from core.store import overwriting
from tests.core.metering.rows import call, finished, managed, put, row
from tests.core.scheduling.poison import spread
from tests.factory import queued
from tests.waiting import until

NOW = utcnow()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LONG_AGO = NOW - 70 * DAY
HOST = {"host": "gone", "status": "ready", "pid": 1, "instance": "i1", "listens": "gone:1"}
BUDGET = {"runtime_budget_usd": 0.001, "runtime_budget_period": "day"}


@pytest.fixture
def services(db, settings, redis_client):
    of_test = settings.model_copy(update={"mongodb_database": db.name, "job_retention_days": 60})
    services = Services(of_test, db.client, redis_client, Sealer(b"k" * 32), Lanes(redis_client).send)
    yield services
    for cleanup in services.cleanups:
        cleanup()


@pytest.fixture
def world(db):
    """A good document of each kind that a tick looks for; their ids by what they are for."""
    return {**people(db), **jobs(db), **ledger(db), **runtimes(db), **drive(db)}


def people(db):
    db.workspaces.insert_many(
        [
            {
                "_id": name,
                "name": name,
                "all": True,
                "created_at": LONG_AGO,
                "alert_url": "http://127.0.0.1:9/",
            }
            for name in ("w1", "w2")
        ]
    )
    agent = {"_id": "a1", "workspace_id": "w1", "name": "a1", "created_at": LONG_AGO, **BUDGET}
    db.agents.insert_one({**agent, "max_running": 5, "llm_config": None})
    return {}


def jobs(db):
    ids = {name: queued(db)["_id"] for name in ("overdue", "orphan", "expired", "erased")}
    ids["deserted"] = queued(db, kind="drive_verify", agent_id=None, host="gone", request={"host": "gone"})[
        "_id"
    ]
    past = {"send_after": NOW - HOUR}
    for name in ("overdue", "deserted"):
        db.jobs.update_one({"_id": ids[name]}, {"$set": past})
    claim(db, ids["orphan"], "nobody")
    for name in ("expired", "erased"):
        finish(db, claim(db, ids[name], "p1"), status="succeeded", calls=[], result={"content": "x"})
        db.jobs.update_one({"_id": ids[name]}, {"$unset": {"meter": ""}})
    content = {"send_after": LONG_AGO, "finished_at": LONG_AGO, "plan": {"content_retention": "none"}}
    db.jobs.update_one({"_id": ids["erased"]}, {"$set": content})
    db.jobs.update_one({"_id": ids["expired"]}, {"$set": {"created_at": LONG_AGO, **content}})
    ids["metered"] = finished(db, [call()], callback_url="http://127.0.0.1:9/hook")
    ids["placed"] = queued(db)["_id"]
    at = place("alive", 1)
    finish(db, claim(db, ids["placed"], "alive"), status="succeeded", calls=[call()], result={}, place=at)
    return ids


def ledger(db):
    """Rows of a day and a month that are over, of an allowance, and of a budget; deliveries; history."""
    put(db, [row(LONG_AGO), managed(NOW, (10, 10)), row(NOW - DAY)])
    date, month = f"{NOW:%Y-%m-%d}", f"{NOW:%Y-%m}"
    held = {"spent": Decimal128("1"), "used": Decimal128("2")}
    name = f"{instance_keys.counts_as('a1')}:{month}"
    budget = {
        "key_id": instance_keys.counts_as("a1"),
        "workspace_id": "w1",
        "month": month,
        "rev": 0,
        "moves": 0,
    }
    lost = {"job": "never", "at": NOW - HOUR, "holds": {date: Decimal128("1")}}
    pending = {"days": {date: held}, "pending": {"n1": lost}, "open": True}
    db.budgets.insert_one({"_id": name, **budget, **held, **pending})
    for name_, state, at in (("told", "due", NOW), ("old", "delivered", LONG_AGO)):
        told = {"workspace_id": "w1", "job_id": None, "event": "e", "url": "http://127.0.0.1:9/"}
        db.deliveries.insert_one({**born(name_, **told, now=at), "state": state, "payload": {}})
    job = claim(db, queued(db)["_id"], "p1")
    batches.note(db, [finish(db, job, status="succeeded", calls=[call()], result={})], [])
    minute = (NOW - HOUR).replace(minute=5, second=0, microsecond=0)
    point = {"workspace_id": "w1", "at": minute, "accepted": 1, "expires_at": NOW + DAY}
    db.history_minutes.insert_one({"_id": "m1", **point})
    return {"budget": name, "minute": minute}


def runtimes(db):
    db.runtime_hosts.insert_one({"_id": "gone", "capacity": 1, "memory_free_mb": 1.0, "seen_at": LONG_AGO})
    db.runtimes.insert_one({**records.born("w1", "a1"), **HOST})
    key = {
        "role": "runtime",
        "workspace_id": "w1",
        "agents": ["a9"],
        "instance": "i9",
        "created_at": LONG_AGO,
    }
    db["keys"].insert_one({"_id": "k9", "max_running": 5, **key})
    dead = {"dead": True, "renewed_at": LONG_AGO, "queues": ["chat"], "role": "chat", "host": "h", "beat": 1}
    db.processes.insert_one({"_id": "dead", **dead})
    return {}


def drive(db):
    file = {"workspace_id": "w1", "agent_id": "a1", "host": "h", "storage": "local", "size": 1, "path": "f"}
    of = {**file, "key": "k", "staged": "s", "revision": 1, "created_by": "k1", "name": "f"}
    at = {"created_at": LONG_AGO, "updated_at": LONG_AGO}
    for state in ("arriving", "deleting", "stored"):
        db.drive_files.insert_one({"_id": state, "state": state, "upload_id": f"u-{state}", **of, **at})
    db.drive_uploads.insert_one({"_id": "u9", "workspace_id": "w1", "key": "u9", "renewed_at": LONG_AGO})
    usage = {"bytes": 1, "open": {"u9": 1}, "stale": True, "revision": 0}
    db.drive_usage.insert_one({"_id": "w1", **usage})
    host = {"queues": ["drive.h"], "role": "drive", "host": "h", "beat": 1, "renewed_at": NOW}
    db.processes.insert_one({"_id": "alive", "dead": False, "in_line": True, "entered": 0, **host})
    overwriting.note(db)
    return {}


def status(db, job_id):
    return (db.jobs.find_one({"_id": job_id}) or {"status": "gone"})["status"]


HANDLED = {
    "reconcile": lambda db, of: status(db, of["orphan"]) == "queued",
    "meter": lambda db, of: (
        "meter" not in db.jobs.find_one({"_id": of["metered"]})
        and db.token_usage.find_one({"job_id": of["placed"]})
    ),
    "allowances": lambda db, _: not db.usage_allowances.find_one({"_id": f"a1:economy:{NOW:%Y-%m}"})["open"],
    "callbacks": lambda db, _: db.deliveries.find_one({"_id": "told"}).get("n"),
    "runtimes": lambda db, _: (
        db.runtimes.find_one({"_id": "a1"})["lost_at"]
        and not db["keys"].find_one({"_id": "k9"})
        and db.deliveries.count_documents({"event": "agent.budget", "payload.agent_id": "a1"})
    ),
    "history": lambda db, _: not db.history_batches.find_one({"workspace_id": "w1", "open": True}),
    "history_hours": lambda db, _: db.history_hours.find_one({"workspace_id": "w1"}),
    "rollups": lambda db, _: db.usage_daily.find_one({"date": f"{LONG_AGO:%Y-%m-%d}"}),
    "budgets": lambda db, of: db.budgets.find_one({"_id": of["budget"]})["pending"] == {},
    "true_up": lambda db, of: db.budgets.find_one({"_id": of["budget"]})["spent"] == Decimal128("0"),
    "statements": lambda db, _: True,
    "drive": lambda db, _: db.drive_files.find_one({"_id": "arriving"})["state"] == "deleting",
    "drive_verify": lambda db, _: db.jobs.find_one({"kind": "drive_verify", "status": "queued"}),
    "recent": lambda *_: True,
    "erased": lambda db, _: True,
    "purge": lambda db, of: (
        not db.jobs.find_one({"_id": of["expired"]})
        and db.jobs.find_one({"_id": of["erased"]})["request"] is None
        and not db.processes.find_one({"_id": "dead"})
    ),
}


def test_each_tick_of_the_table_is_tried(services):
    assert {tick.name for tick in scheduler.ticks(services)} == {*HANDLED}


def test_every_tick_comes_to_the_good_documents_whatever_else_there_is(db, services, world):
    assert spread(db) > 500
    with capture_logs():  # a thousand tracebacks
        problems = {tick.name: problem_of(db, tick, world) for tick in scheduler.ticks(services)}
    assert not any(problems.values()), "\n".join(f"{name}: {why}" for name, why in problems.items() if why)


def problem_of(db, tick, world):
    """Why this tick does not come to the good document; None: it does."""
    run = tick.at_once or tick.run

    def handled():
        run()
        return HANDLED[tick.name](db, world)

    try:
        until(handled, tick.name)
    except (Exception, AssertionError):  # noqa: BLE001 - all ticks are tried, and each problem told
        return traceback.format_exc(limit=-4)
    return None
