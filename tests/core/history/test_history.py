"""The history: a job that ends counts once, in its minute and its hour, however often ticks are repeated."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.callbacks import outbox
from core.clock import utcnow
from core.history import batches, reading, rollups
from core.history.reading import History
from core.jobs.claim import claim, finish, note_unkept
from core.jobs.control import cancel
from core.jobs.model import MARK
from core.metering import ledger
from core.scheduling.slots import EPOCH
from tests.core.metering.rows import PRICES, call, finished
from tests.factory import queued

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def workspaces(db):
    db.workspaces.insert_many([{"_id": "w1"}, {"_id": "w2"}])


def enter(db):
    return ledger.enter(db, PRICES, outbox=outbox, note=batches.note)


def slot(at):
    """The first full minute after a time."""
    return EPOCH + (at - EPOCH) // MINUTE * MINUTE + MINUTE


def minute(db, at, workspace="w1"):
    """What the minute of a time says."""
    return db.history_minutes.find_one({"_id": f"{workspace}:{at:%Y-%m-%dT%H:%M}"})


def failed(db, code="provider_busy", **changes):
    job = claim(db, queued(db, **changes)["_id"], "p1")
    finish(db, job, status="failed", calls=[call(outcome="provider_busy", usage=None)], error={"code": code})
    return job


def long_ago(db, job_id, ago):
    """Move a job's acceptance and its end into the past."""
    job = db.jobs.find_one({"_id": job_id})
    moved = {name: job[name] - ago for name in ("created_at", "finished_at")}
    db.jobs.update_one({"_id": job_id}, {"$set": moved})


def whole(db, workspace="w1"):
    """All that the last day says."""
    return reading.summary(History(db, workspace, now=utcnow() + MINUTE).hours())


def test_jobs_count_by_how_they_ended_and_why(db, redis_client):
    finished(db, [call(first_token_ms=150)])
    failed(db)
    failed(db, code="context_overflow")
    failed(db, code="context_overflow", agent_id="a2")
    cancel(db, redis_client, queued(db))
    enter(db)
    rollups.ended(db)
    found = whole(db)
    assert [found[name] for name in ("succeeded", "failed", "cancelled")] == [1, 3, 1]
    assert found["success_rate"] == 0.25
    assert found["reasons"] == [{"name": "context_overflow", "n": 2}, {"name": "provider_busy", "n": 1}]
    assert found["agents"] == [{"name": "a1", "n": 2}, {"name": "a2", "n": 1}]
    (provider,) = found["providers"]
    assert (provider["name"], provider["calls"], provider["failed"]) == ("openai", 4, 3)
    assert found["first_token_p95_ms"] in range(143, 158)


def test_the_cost_is_that_of_the_ledger(db):
    finished(db, [call(), call(1)])
    finished(db, [call(2, model="unheard of")])
    enter(db)
    rollups.ended(db)
    assert whole(db)["cost"].to_decimal() == 2 * Decimal("0.0000048")


def test_how_long_a_job_took_is_from_its_acceptance_to_its_end(db):
    job_id = finished(db, [call(latency_ms=20)])
    db.jobs.update_one(
        {"_id": job_id}, {"$set": {"created_at": db.jobs.find_one()["finished_at"] - timedelta(seconds=8)}}
    )
    enter(db)
    rollups.ended(db)
    assert whole(db)["p95_ms"] in range(7_600, 8_400)


def test_jobs_that_come_to_the_ledger_later_join_their_minute(db):
    for _ in range(2):
        long_ago(db, finished(db, [call()]), 5 * MINUTE)
        enter(db)
        rollups.ended(db)
    assert sum(point.get("succeeded", 0) for point in History(db, "w1").minutes()) == 2


def test_a_job_that_comes_to_the_ledger_twice_counts_once(db):
    job = claim(db, queued(db)["_id"], "p1")
    finish(db, job, status="succeeded", calls=[call()], result={})
    enter(db)
    rollups.ended(db)
    note_unkept(db, {**job, "attempt": 7}, [call()])
    assert enter(db)["jobs"] == 1
    rollups.ended(db)
    assert whole(db)["succeeded"] == 1
    assert whole(db)["cost"].to_decimal() == Decimal("0.0000048")


def test_what_a_scheduler_left_behind_when_it_died_is_done_again_and_counts_once(db):
    def dies(*noted):
        batches.note(*noted)
        raise KeyboardInterrupt

    finished(db, [call()])
    with pytest.raises(KeyboardInterrupt):
        ledger.enter(db, PRICES, outbox=outbox, note=dies)
    enter(db)
    rollups.ended(db)
    rollups.ended(db)
    assert whole(db)["succeeded"] == 1


def test_what_was_accepted_is_counted_once_wherever_marks_lie(db, redis_client):
    over = slot(utcnow())
    began = over - MINUTE
    times = [-0.001, 0, 0, 10, 10, 20, 59.999, 60]
    for n, at in enumerate(times):
        job = queued(db)
        known = [MARK] if n in (1, 3, 4, 7) else []
        created = began + timedelta(seconds=at)
        db.jobs.update_one({"_id": job["_id"]}, {"$set": {"created_at": created, "known_as": known}})
    rollups.tick(db, redis_client, over, over)
    assert minute(db, began)["accepted"] == 6


def test_more_batches_are_closed_than_are_written_together(db):
    for _ in range(rollups.CLOSED + 1):
        finished(db, [call()])
        enter(db)
    assert rollups.ended(db) >= 1
    assert db.history_batches.count_documents({"open": True}) == 0
    assert whole(db)["succeeded"] == rollups.CLOSED + 1


def test_a_minute_that_is_over_says_what_was_accepted_and_what_waits(db, redis_client):
    for _ in range(3):
        queued(db)
    claim(db, queued(db)["_id"], "p1")
    queued(db, workspace_id="w2")
    accepted = db.jobs.find_one()["created_at"]
    over = slot(accepted)
    db.jobs.update_many({}, {"$set": {"created_at": accepted}})
    rollups.tick(db, redis_client, over, over)
    found = minute(db, accepted)
    assert [found[name] for name in ("accepted", "queued", "running")] == [4, 3, 1]
    assert minute(db, accepted, "w2")["accepted"] == 1
    (queue,) = [point for point in reading.queue(db, "chat", now=over) if "depth" in point]
    assert (queue["depth"], queue["running"]) == (4, 1)


def test_a_tick_repeated_changes_nothing(db, redis_client):
    finished(db, [call()])
    queued(db)
    enter(db)
    over = slot(utcnow())
    rollups.tick(db, redis_client, over, over)
    before = list(db.history_minutes.find()), list(db.history_queues.find())
    rollups.tick(db, redis_client, over, over)
    assert (list(db.history_minutes.find()), list(db.history_queues.find())) == before


def test_a_time_that_is_caught_up_does_not_tell_todays_queue_as_its_own(db, redis_client):
    queued(db)
    past = slot(utcnow()) - HOUR
    rollups.tick(db, redis_client, past, utcnow())
    assert db.history_minutes.find_one({"at": past - MINUTE}) is None


def test_a_tick_asked_for_between_its_times_counts_the_last_whole_minute(db, redis_client):
    job = queued(db)
    between = slot(job["created_at"]) + timedelta(seconds=17)
    rollups.tick(db, redis_client, between, between)
    assert minute(db, job["created_at"])["accepted"] == 1


def test_an_hour_is_the_sum_of_its_minutes_and_late_ones_change_it(db):
    ended = slot(utcnow()).replace(minute=0) - HOUR
    for minutes in (5, 40):
        db.history_minutes.insert_one(
            point(ended + minutes * MINUTE, accepted=2, succeeded=1, queued=minutes)
        )
    rollups.hours(db, ended + HOUR)
    hour = db.history_hours.find_one({"at": ended})
    assert [hour[name] for name in ("accepted", "succeeded", "queued")] == [4, 2, 40]
    db.history_minutes.insert_one(point(ended + 50 * MINUTE, accepted=1, queued=0))
    rollups.hours(db, ended + 2 * HOUR)
    assert db.history_hours.find_one({"at": ended})["accepted"] == 5


def point(at, **fields):
    return {"_id": f"w1:{at:%Y-%m-%dT%H:%M}", "workspace_id": "w1", "at": at, **fields}


def test_a_day_has_every_hour_also_those_that_are_not_rolled_up(db):
    now = slot(utcnow()).replace(minute=30)
    for ago in (timedelta(hours=5), HOUR, timedelta()):
        db.history_minutes.insert_one(point(now - ago, accepted=1))
    rollups.hours(db, now.replace(minute=0) - timedelta(hours=4))
    found = History(db, "w1", now=now + MINUTE).hours()
    assert len(found) == 24
    assert [n for n, hour in enumerate(found) if hour.get("accepted")] == [18, 22, 23]


def test_minutes_have_no_gap_and_are_of_one_workspace(db):
    now = slot(utcnow())
    db.history_minutes.insert_many([point(now - 3 * MINUTE, accepted=1), point(now, accepted=9)])
    db.history_minutes.insert_one(
        {"_id": "other", "workspace_id": "w2", "at": now - 2 * MINUTE, "accepted": 5}
    )
    found = History(db, "w1", now=now + timedelta(seconds=20)).minutes()
    assert [point["at"] for point in found] == [now - n * MINUTE for n in range(60, 0, -1)]
    assert [point["accepted"] for point in found if "accepted" in point] == [1]


def test_a_job_that_ended_long_ago_is_in_no_chart(db):
    long_ago(db, finished(db, [call()]), timedelta(hours=2))
    enter(db)
    assert db.history_batches.count_documents({}) == 0


@pytest.mark.parametrize(
    "collection", ["history_batches", "history_minutes", "history_queues", "history_hours"]
)
def test_all_that_is_written_expires(db, redis_client, collection):
    finished(db, [call()])
    enter(db)
    over = slot(utcnow())
    rollups.tick(db, redis_client, over, over)
    rollups.hours(db, over.replace(minute=0) + HOUR)
    documents = list(db[collection].find())
    assert documents
    assert all(document["expires_at"] > utcnow() for document in documents)


def test_a_tick_looks_at_a_bounded_number_of_batches_and_goes_on_with_the_next(db):
    for n in (1, 2, 3):
        long_ago(db, finished(db, [call()]), n * MINUTE)
        enter(db)
    assert rollups.ended(db, limit=2) == 2
    assert rollups.ended(db, limit=2) == 1
    assert whole(db)["succeeded"] == 3
