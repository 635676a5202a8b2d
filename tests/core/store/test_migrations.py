"""Upgrades: each step once, whoever is killed in it, however many processes start together."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from bson.decimal128 import Decimal128
from pymongo import ASCENDING, DESCENDING, IndexModel

from core.clock import utcnow
from core.store import indexes, migrations
from core.store.migrations import (
    NewerStore,
    each,
    fences,
    holds,
    idempotency_marks,
    job_marks,
    names,
    old_indexes,
    references,
)

LATER = len(migrations.STEPS) + 1


def definition(db, collection, name):
    (found,) = [index for index in db[collection].list_indexes() if index["name"] == name]
    return dict(found)


def test_an_empty_database_is_of_this_version_and_has_all_indexes(mongo, db):
    empty = mongo[f"{db.name}-empty"]
    migrations.prepare(empty)
    assert migrations.reached(empty) == len(migrations.STEPS)
    made = {(name, index["name"]) for name in indexes.INDEXES for index in empty[name].list_indexes()}
    wanted = {(name, index.document["name"]) for name in indexes.INDEXES for index in indexes.INDEXES[name]}
    assert made - {(name, "_id_") for name in indexes.INDEXES} == wanted
    mongo.drop_database(empty.name)


def test_a_step_is_carried_out_once(db):
    ran = []
    for _ in range(2):
        migrations.upgrade(db, (("first", ran.append),))
    migrations.upgrade(db, (("first", ran.append), ("second", ran.append)))
    assert ran == [db, db]
    assert [step["name"] for step in db.migrations.find().sort("_id", 1)] == ["first", "second"]


def test_a_step_that_fails_is_carried_out_again_and_none_after_it(db):
    ran = []

    def breaks_at_first(_):
        ran.append("first")
        if len(ran) == 1:
            raise ValueError

    steps = (("first", breaks_at_first), ("second", lambda _: ran.append("second")))
    with pytest.raises(ValueError):
        migrations.upgrade(db, steps)
    migrations.upgrade(db, steps)
    assert ran == ["first", "first", "second"]


def test_processes_that_start_together_all_find_the_upgrade_done(mongo, db):
    db.jobs.drop_index("idempotent")
    db.jobs.insert_many([{"_id": f"j{n}", "workspace_id": "w1"} for n in range(40)])
    together = threading.Barrier(4)

    def start(_):
        together.wait()
        migrations.prepare(db)
        return db.jobs.count_documents({"idempotency": {"$exists": False}})

    with ThreadPoolExecutor(4) as processes:
        assert list(processes.map(start, range(4))) == [0, 0, 0, 0]
    assert db.migrations.count_documents({}) == len(migrations.STEPS)
    assert definition(db, "jobs", "idempotent")["unique"]


def test_whoever_waits_goes_on_once_the_upgrade_is_done(db, monkeypatch):
    looks = []

    def upgrade_at_the_third(_):
        looks.append(migrations.reached(db))
        if len(looks) == 3:
            migrations.upgrade(db)

    clock = SimpleNamespace(sleep=upgrade_at_the_third, monotonic=time.monotonic)
    monkeypatch.setattr(migrations, "time", clock)  # threads of other tests sleep as ever
    migrations.wait_until_prepared(db)
    assert looks == [0, 0, 0]


@pytest.mark.parametrize("start", [migrations.prepare, migrations.wait_until_prepared])
def test_a_database_of_a_later_version_is_refused(db, start):
    db.migrations.insert_one({"_id": LATER})
    with pytest.raises(NewerStore, match=f"is of version {LATER}, and this program knows {LATER - 1}: start"):
        start(db)


class Killed(BaseException):
    """The process is gone."""


def test_changing_many_goes_on_where_it_was_killed(db, monkeypatch):
    monkeypatch.setattr(each, "BATCH", 3)
    db.things.insert_many([{"_id": n, "old": n} for n in range(8)])
    changed = []

    def change(thing):
        if len(changed) == 5:
            changed.append(None)
            raise Killed
        changed.append(thing["_id"])
        return {"$set": {"new": thing["old"]}, "$unset": {"old": ""}}

    with pytest.raises(Killed):
        each.change_each(db.things, {"old": {"$exists": True}}, change, "old")
    assert db.things.count_documents({"new": {"$exists": True}}) == 3
    each.change_each(db.things, {"old": {"$exists": True}}, change, "old")
    assert sorted((thing["_id"], thing["new"]) for thing in db.things.find()) == [(n, n) for n in range(8)]
    assert changed == [0, 1, 2, 3, 4, None, 3, 4, 5, 6, 7]


def test_what_another_process_has_changed_meanwhile_stays(db):
    db.things.insert_one({"_id": 1, "old": 1})

    def change(thing):
        db.things.replace_one({"_id": thing["_id"]}, {"new": "by another"})
        return {"$set": {"new": "by this one"}}

    each.change_each(db.things, {"old": {"$exists": True}}, change)
    assert db.things.find_one({}) == {"_id": 1, "new": "by another"}


def test_a_job_without_a_mark_gets_its_own_and_others_keep_theirs(db):
    db.jobs.drop_index("idempotent")
    theirs = {"route": "chat/a1", "key": "k", "hash": "h"}
    db.jobs.insert_many([{"_id": "bare"}, {"_id": "marked", "idempotency": theirs}])
    idempotency_marks.run(db)
    assert db.jobs.find_one({"_id": "bare"})["idempotency"] == {"route": "", "key": "bare", "hash": ""}
    assert db.jobs.find_one({"_id": "marked"})["idempotency"] == theirs


OLD = {
    "jobs": [
        IndexModel(
            [("workspace_id", ASCENDING), ("idempotency.route", ASCENDING), ("idempotency.key", ASCENDING)],
            name="idempotent",
            unique=True,
            partialFilterExpression={"idempotency.key": {"$exists": True}},
        ),
        IndexModel([("meter", ASCENDING)], name="metering"),
        IndexModel([("meter", ASCENDING)], name="due", partialFilterExpression={"meter": "due"}),
        IndexModel(
            [("workspace_id", ASCENDING), ("status", ASCENDING), ("created_at", DESCENDING)],
            name="ended_badly",
            partialFilterExpression={"status": {"$lt": "g"}},
        ),
    ],
    "managed_overage": [
        IndexModel([("workspace_id", ASCENDING), ("month", ASCENDING)], name="by_workspace"),
    ],
    "usage_quarters": [
        IndexModel(
            [("workspace_id", ASCENDING), ("date", ASCENDING), ("agent_id", ASCENDING)], name="by_day"
        ),
    ],
    **{
        name: [IndexModel([("expires_at", ASCENDING)], name="expiring", expireAfterSeconds=0)]
        for name in indexes.EXPIRING
    },
}
"""As earlier commits made them."""


def test_indexes_of_earlier_versions_go_and_those_of_this_one_are_made(db):
    for collection, made in OLD.items():
        db[collection].drop_indexes()
        db[collection].create_indexes(made)
    old_indexes.run(db)
    indexes.ensure(db)
    for collection in OLD:
        wanted = {index.document["name"] for index in indexes.INDEXES[collection]}
        assert {index["name"] for index in db[collection].list_indexes()} == wanted | {"_id_"}
    assert definition(db, "jobs", "idempotent")["partialFilterExpression"] == {"idempotency.key": {"$gt": ""}}
    assert len(definition(db, "usage_quarters", "by_day")["key"]) == 2
    assert not any("expireAfterSeconds" in definition(db, name, "expiring") for name in indexes.EXPIRING)


def test_an_index_that_is_as_wanted_or_of_somebody_else_stays(db):
    db.jobs.create_index("metadata.order", name="mine")
    before = [index["name"] for index in db.jobs.list_indexes()]
    old_indexes.run(db)
    assert [index["name"] for index in db.jobs.list_indexes()] == before


def test_the_mark_of_a_claim_is_called_fence(db):
    db.jobs.drop_index("idempotent")
    db.jobs.insert_many(
        [{"_id": "old", "token": "t1"}, {"_id": "new", "fence": "f"}, {"_id": "none", "token": None}]
    )
    fences.run(db)
    kept = {job["_id"]: job for job in db.jobs.find()}
    assert {name: job["fence"] for name, job in kept.items()} == {"old": "t1", "new": "f", "none": None}
    assert not any("token" in job for job in kept.values())


REFERENCE = {"$ref": "x", "$id": {"$ref": "y", "$id": None}, "more": [{"$ref": "z", "$id": 1, "$db": "w"}]}
FREE = {"metadata": REFERENCE, "request": {"tools": [REFERENCE], "a": 1}, "error": {"detail": REFERENCE}}


def test_a_job_of_earlier_versions_is_known_by_the_ids_of_its_requests(db):
    called = [{"n": 0, "provider_request_id": "req_1"}, {"n": 1, "provider_request_id": None}]
    lost = [{"attempt": 1, "calls": [{"n": 0, "provider_request_id": "req_0"}]}]
    db.jobs.insert_many(
        [
            {"_id": "old", "request_id": "r1", "calls": called, "unkept": lost, "idempotency": {"key": "1"}},
            {"_id": "new", "request_id": "r2", "known_as": ["r2", "req_9"], "idempotency": {"key": "2"}},
        ]
    )
    names.run(db)
    kept = {job["_id"]: job["known_as"] for job in db.jobs.find()}
    assert kept == {"old": ["r1", "req_1", "req_0"], "new": ["r2", "req_9"]}


def test_jobs_that_ended_badly_are_found_among_all(db):
    statuses = ("failed", "cancelled", "succeeded", "running")
    db.jobs.insert_many([{"_id": status, "status": status, "known_as": ["r"]} for status in statuses])
    for _ in range(2):
        job_marks.run(db)
    found = {job["_id"]: job["known_as"] for job in db.jobs.find()}
    assert found == {
        "failed": ["r", "~failed"],
        "cancelled": ["r", "~cancelled"],
        "succeeded": ["r"],
        "running": ["r"],
    }


def test_a_client_of_the_door_still_joins_the_job_of_its_first_try(db):
    now = utcnow()
    routes = {"lately": "door/abc", "before": "door/abc", "chat": "chat/a1"}
    for name, route in routes.items():
        made = now - timedelta(minutes=11 if name == "before" else 1)
        mark = {"route": route, "key": name, "hash": ""}
        db.jobs.insert_one({"_id": name, "created_at": made, "known_as": [], "idempotency": mark})
    job_marks.run(db)
    found = {job["_id"]: job["known_as"] for job in db.jobs.find()}
    assert found == {"lately": ["~door/abc"], "before": [], "chat": []}


def test_json_that_looks_like_a_reference_can_be_read_again(db):
    db.jobs.insert_one({"_id": "j1", **FREE, "result": None, "created_at": utcnow()})
    db.agents.insert_many(
        [{"_id": "a1", "name": "a", "metadata": {"b": REFERENCE}}, {"_id": "a2", "name": "b", "metadata": {}}]
    )
    for _ in range(2):
        references.run(db)
    job = db.jobs.find_one({"_id": "j1"})
    assert {name: job[name] for name in FREE} == FREE
    assert job["result"] is None
    assert {agent["_id"]: agent["metadata"] for agent in db.agents.find()} == {
        "a1": {"b": REFERENCE},
        "a2": {},
    }


def test_what_was_given_since_stays(db):
    db.agents.insert_one({"_id": "a1", "metadata": {"new": 1}})
    references.wrap(db.agents, "a1", "metadata", REFERENCE)
    assert db.agents.find_one({"_id": "a1"})["metadata"] == {"new": 1}


def test_what_jobs_hold_of_a_budget_is_put_into_them(db):
    at, usd = utcnow(), Decimal128("0.02")
    month = f"{at:%Y-%m}"
    for n, (status, meter) in enumerate([("queued", None), ("failed", "due"), ("failed", None)]):
        mark = {"route": "", "key": f"j{n}"}
        db.jobs.insert_one(
            {"_id": f"j{n}", "workspace_id": "w1", "status": status, "meter": meter, "idempotency": mark}
        )
    old = {"key_id": "k1", "holds": {f"j{n}": {"usd": usd, "at": at} for n in range(4)}}
    db.budgets.insert_one({"_id": f"k1:{month}", "period": month, **old})
    db.budgets.insert_one({"_id": f"k1:{month}-01", "period": f"{month}-01", "key_id": "k1", "holds": {}})
    for _ in range(2):
        holds.run(db)
    assert db.budgets.count_documents({}) == 0
    found = {job["_id"]: job.get("holds") for job in db.jobs.find()}
    assert found["j0"][month]["days"] == found["j1"][month]["days"] == {f"{at:%Y-%m-%d}": usd}
    assert found["j2"] is None


def test_what_is_held_of_a_days_budget_is_held_on_that_day(db):
    db.jobs.insert_one({"_id": "j1", "workspace_id": "w1", "status": "running"})
    hold = {"usd": Decimal128("0.02"), "at": utcnow()}
    db.budgets.insert_one({"_id": "k1:2026-11-24", "period": "2026-11-24", "holds": {"j1": hold}})
    holds.run(db)
    nonce = db.jobs.find_one({})["holds"]["2026-11"].pop("nonce")
    holds.run(db)
    assert db.jobs.find_one({})["holds"]["2026-11"] == {"nonce": nonce, "days": {"2026-11-24": hold["usd"]}}
