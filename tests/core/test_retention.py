"""Retention: content and jobs go when their time has come, and nothing unmetered ever."""

from datetime import timedelta

import pytest

from core import retention
from core.clock import utcnow
from core.ids import new_id
from core.jobs import lease
from core.jobs.claim import claim, finish
from core.jobs.events import Emitter, stream_key
from core.jobs.model import MARK, born
from core.jobs.places import place
from core.retention import Purge
from core.store import marks, sizes
from core.store.indexes import EXPIRING
from tests.core.jobs.test_queries import by_indexes
from tests.factory import CALL, draft, queued


@pytest.fixture
def purge(db, redis_client, settings):
    db.workspaces.insert_one({"_id": "w1"})
    return Purge(db, redis_client, settings)


def ended(db, days_ago, rule=None, metered=True, **changes):
    plan = {"targets": [], "agent": {"system_prompt": "be kind"}, "content_retention": rule}
    job = claim(db, queued(db, plan=plan, **changes)["_id"], "p1")
    finish(
        db, job, status="succeeded", calls=[CALL], result={"message": {"content": "hi"}, "usage": {"n": 1}}
    )
    past = timedelta(days=days_ago)
    at, look = utcnow() - past, db.jobs.find_one({"_id": job["_id"]})["send_after"] - past
    update = {"$set": {"created_at": at, "finished_at": at, "send_after": look}}
    if metered:
        update["$unset"] = {"meter": ""}
    db.jobs.update_one({"_id": job["_id"]}, update)
    return lambda: db.jobs.find_one({"_id": job["_id"]})


def test_the_events_go_with_the_content(db, purge, redis_client):
    old, new = ended(db, 8), ended(db, 6)
    for job in (old(), new()):
        Emitter(redis_client, job["_id"], 1).emit("delta", {"type": "content", "content": "hi"})
    purge.tick()
    assert not redis_client.exists(stream_key(old()["_id"]))
    assert redis_client.exists(stream_key(new()["_id"]))


@pytest.mark.parametrize(
    ("rule", "days_ago", "erased"),
    [
        (None, 8, True),
        (None, 6, False),
        ("30", 8, False),
        ("none", 0.001, True),
        ("done", 0.1, True),
        ("done", 0.01, False),
    ],
)
def test_content_goes_by_its_agents_rule_and_the_accounting_stays(db, purge, rule, days_ago, erased):
    job = ended(db, days_ago, rule)
    purge.tick()
    assert (job()["request"] is None) == erased
    assert (job()["result"]["message"] is None) == erased
    assert job()["calls"] == [CALL]
    assert job()["result"]["usage"] == {"n": 1}
    assert ("be kind" in str(job())) != erased


def test_a_tick_that_runs_out_of_time_is_gone_on_with_by_the_next(db, purge, monkeypatch):
    monkeypatch.setattr(retention, "AT_IT_S", -1.0)
    jobs = [ended(db, 8) for _ in range(3)]
    assert [purge.tick()["contents_erased"] for _ in range(4)] == [1, 1, 1, 0]
    assert all(job()["request"] is None for job in jobs)


def test_content_stays_while_a_callback_needs_it(db, purge):
    job = ended(db, 8)
    db.deliveries.insert_one({"_id": f"{job()['_id']}-succeeded", "state": "due", "created_at": utcnow()})
    purge.tick()
    assert job()["request"] is not None


def test_content_stays_until_the_meter_has_made_the_callback(db, purge):
    job = ended(db, 8, metered=False, callback_url="https://example.com/hook")
    purge.tick()
    assert job()["request"] is not None
    db.jobs.update_one({"_id": job()["_id"]}, {"$unset": {"meter": ""}, "$set": {"send_after": utcnow()}})
    purge.tick()
    assert job()["request"] is None


def test_jobs_go_after_their_time_but_never_before_they_were_metered(db, purge):
    old, unmetered, young = ended(db, 41), ended(db, 41, metered=False), ended(db, 39)
    purge.tick()
    assert old() is None
    assert unmetered() is not None
    assert young() is not None


def in_a_row(db, process_id, number, days_ago):
    """As `ended`, but it waits in its place."""
    job = ended(db, days_ago, metered=False)
    db.jobs.update_one({"_id": job()["_id"]}, {"$set": {"meter": place(process_id, number)}})
    return job


def registered(db, **more):
    found = {"role": "chat", "host": "h", "queues": [], "slots": 1, "version": "test"}
    return lease.register(db, **found, in_line=True)


def test_jobs_in_a_row_go_once_the_ledger_was_there(db, purge):
    process = registered(db)
    db.processes.update_one({"_id": process}, {"$set": {"entered": 1}})
    passed, waiting = in_a_row(db, process, 1, 41), in_a_row(db, process, 2, 41)
    stuck = ended(db, 41, metered=False)
    db.jobs.update_one({"_id": stuck()["_id"]}, {"$set": {"meter": "stuck"}})
    purge.tick()
    assert (passed(), waiting() is None, stuck() is None) == (None, False, False)
    db.processes.update_one({"_id": process}, {"$set": {"in_line": False}})
    purge.tick()
    assert (waiting(), stuck() is None) == (None, False)


@pytest.mark.parametrize("mark", ["p1:1", "p1/x", 7, ["due"]])
def test_jobs_of_which_nobody_knows_whether_they_wait_stay(db, purge, mark):
    job = ended(db, 41, metered=False)
    db.jobs.update_one({"_id": job()["_id"]}, {"$set": {"meter": mark}})
    purge.tick()
    assert job() is not None


def test_a_process_that_says_oddly_how_far_its_row_is_does_not_stop_the_purge(db, purge):
    process = registered(db)
    db.processes.update_one({"_id": process}, {"$set": {"entered": "far"}})
    waiting, old = in_a_row(db, process, 1, 41), ended(db, 41)
    purge.tick()
    assert (waiting() is None, old()) == (False, None)


def test_a_job_to_which_something_was_added_since_it_was_read_stays(db, purge):
    job = ended(db, 41)
    read = job()
    db.jobs.update_one({"_id": read["_id"]}, {"$set": {"meter": "due"}})
    assert purge._delete(read) == 0
    assert job() is not None


def test_the_content_of_a_job_in_a_row_stays_until_the_ledger_was_there(db, purge):
    process = registered(db)
    job = in_a_row(db, process, 1, 8)
    purge.tick()
    assert job()["request"] is not None
    db.processes.update_one({"_id": process}, {"$set": {"entered": 1}})
    db.jobs.update_one({"_id": job()["_id"]}, {"$set": {"send_after": utcnow()}})
    purge.tick()
    assert job()["request"] is None


@pytest.mark.parametrize(
    ("changes", "goes"),
    [
        ({"in_line": False, "dead": True}, True),
        ({"in_line": True, "dead": True}, False),
        ({"in_line": False, "dead": False}, False),
        ({"in_line": False, "dead": True, "renewed_at": None}, False),
    ],
)
def test_a_dead_process_goes_once_its_row_is_in_the_ledger(db, purge, changes, goes):
    process = registered(db)
    long_ago = {"renewed_at": utcnow() - timedelta(days=2)}
    db.processes.update_one({"_id": process}, {"$set": {**long_ago, **changes}})
    assert purge.tick()["processes_deleted"] == goes
    assert (db.processes.find_one({"_id": process}) is None) == goes


def test_what_is_old_is_found_without_a_look_at_what_is_new(db, redis_client, settings):
    db.workspaces.insert_one({"_id": "w1"})
    with by_indexes(db, settings, whole=("workspaces",)) as watched:
        Purge(watched, redis_client, settings).tick()


def test_jobs_that_are_not_done_stay_however_old(db, purge):
    job = queued(db)
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"created_at": utcnow() - timedelta(days=100)}})
    purge.tick()
    assert db.jobs.find_one({"_id": job["_id"]})["request"] is not None


BORNE = 15


@pytest.fixture
def small(monkeypatch):
    """An embedded store that bears 15 finished jobs that are marked, and 50 documents in a collection."""
    monkeypatch.setattr(sizes, "MOST_FINISHED_JOBS", BORNE * marks.EACH)
    monkeypatch.setattr(sizes, "MOST_DOCUMENTS", 50)


@pytest.fixture
def on_embedded(db, redis_client, settings):
    return Purge(db, redis_client, settings.model_copy(update={"mongodb_uri": None}))


def marked(db, found):
    db.jobs.update_one({"_id": found()["_id"]}, {"$addToSet": {"known_as": MARK}})
    return found


def unmarked(db, found):
    """One among 128 has the mark by the chance of its id."""
    db.jobs.update_one({"_id": found()["_id"]}, {"$pull": {"known_as": MARK}})
    return found


@pytest.mark.parametrize("at_once", [1, 3, 8])
@pytest.mark.usefixtures("small")
def test_on_the_embedded_store_the_oldest_finished_jobs_go(db, purge, on_embedded, monkeypatch, at_once):
    monkeypatch.setattr(retention, "MARKS_AT_ONCE", at_once)
    db.workspaces.insert_one({"_id": "w2"})
    unmetered = marked(db, ended(db, 30, metered=False))
    jobs = [marked(db, ended(db, age, workspace_id=f"w{1 + age % 2}")) for age in range(21, 0, -1)]
    between, young = unmarked(db, ended(db, 17.5)), unmarked(db, ended(db, 5.5))
    waiting = queued(db)
    db.jobs.update_many({"_id": waiting["_id"]}, {"$addToSet": {"known_as": MARK}})
    assert purge.tick()["jobs_trimmed"] == 0  # a MongoDB of one's own
    assert on_embedded.tick()["jobs_trimmed"] == 7
    assert [job() is None for job in jobs] == [True] * 6 + [False] * 15
    assert (between(), young() is None) == (None, False)
    assert unmetered() is not None
    assert db.jobs.find_one({"_id": waiting["_id"]}) is not None
    assert on_embedded.tick()["jobs_trimmed"] == 0


@pytest.mark.usefixtures("small")
def test_it_is_said_before_the_embedded_store_is_full(db, purge, on_embedded):
    on_embedded.tick()
    assert sizes.warnings(db) == []
    for _ in range(12):
        marked(db, ended(db, 1))
    db.audit_log.insert_many([{"n": n} for n in range(40)])
    for _ in db.list_collection_names():  # one is counted each time
        sizes.note(db, 0)
    on_embedded.tick()
    jobs, audit = sizes.warnings(db)
    assert jobs.startswith(
        f"about {12 * marks.EACH} finished jobs; beyond {BORNE * marks.EACH} the oldest are deleted"
    )
    assert audit.startswith("40 documents in audit_log; beyond 50")


@pytest.mark.parametrize("name", EXPIRING)
def test_what_is_over_goes_and_nothing_before(db, purge, name):
    now = utcnow()
    times = {"over": now - timedelta(minutes=1), "young": now + timedelta(minutes=1), "without": None}
    db[name].insert_many({"_id": one, "expires_at": at} for one, at in times.items())
    assert purge.tick()["expired_deleted"] == 1
    assert {one["_id"] for one in db[name].find()} == {"young", "without"}


def test_what_is_over_goes_some_at_a_time_until_none_is_left(db, purge, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    over = {"expires_at": utcnow() - timedelta(days=1)}
    db.audit_log.insert_many({"_id": str(n), **over} for n in range(5))
    assert purge.tick()["expired_deleted"] == 5


def test_a_tick_examines_nothing_of_what_is_not_due(db, redis_client, settings):
    """Neither finished jobs whose content is kept, or is erased already, nor what is not over."""
    db.workspaces.insert_one({"_id": "w1"})
    now = utcnow()
    for send_after in (None, now + timedelta(days=3)):
        jobs = [born(draft(), new_id(), now) for _ in range(300)]
        db.jobs.insert_many({**job, "status": "succeeded", "send_after": send_after} for job in jobs)
    db.audit_log.insert_many({"expires_at": now + timedelta(days=1)} for _ in range(300))
    with by_indexes(db, settings, whole=("workspaces",), most=30) as watched:
        Purge(watched, redis_client, settings.model_copy(update={"mongodb_uri": None})).tick()


def test_deliveries_go_long_after_their_last_try_and_never_before(db, purge):
    long_ago = utcnow() - timedelta(days=41)
    for state in ("due", "delivered", "failed"):
        for age, at in (("old", long_ago), ("new", utcnow())):
            db.deliveries.insert_one({"_id": f"{state}-{age}", "state": state, "next_at": at})
    assert purge.tick()["deliveries_deleted"] == 2
    assert {d["_id"] for d in db.deliveries.find()} == {"due-old", "due-new", "delivered-new", "failed-new"}


def test_processes_that_ended_long_ago_are_forgotten(db, purge):
    db.processes.insert_many(
        [
            {"_id": "old", "dead": True, "renewed_at": utcnow() - timedelta(days=2)},
            {"_id": "alive", "dead": False, "renewed_at": utcnow() - timedelta(days=2)},
        ]
    )
    purge.tick()
    assert [p["_id"] for p in db.processes.find()] == ["alive"]


def test_what_was_put_off_while_it_was_to_expire_stays(db, redis_client, settings, meanwhile):
    db.aside.insert_one({"_id": "meter:j1", "loop": "meter", "expires_at": utcnow() - timedelta(hours=1)})
    later = {"$set": {"expires_at": utcnow() + timedelta(days=1)}}
    meanwhile.before("delete", "aside", lambda: db.aside.update_one({}, later))
    Purge(meanwhile.db, redis_client, settings).tick()
    assert db.aside.count_documents({}) == 1
