"""What a user does to a job, while workers do what they do."""

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import Conflict
from core.jobs import signals
from core.jobs.claim import claim, finish, hand_back
from core.jobs.control import cancel
from core.jobs.lanes import Lanes, ticket
from tests.factory import CALL, queued
from tests.waiting import LONG_S


def test_a_queued_job_is_cancelled_at_once(db, redis_client):
    job = queued(db, callback_url="https://example.com/hook")
    assert cancel(db, redis_client, job)["status"] == "cancelled"
    assert db.jobs.find_one({"_id": job["_id"]})["meter"] == "due"


@pytest.mark.parametrize("parked", [False, True], ids=["in its lane", "put aside"])
def test_a_job_that_is_cancelled_waits_in_no_lane(db, redis_client, parked):
    """A paused queue has nobody who would take it from there."""
    lanes = Lanes(redis_client)
    job, other = queued(db), queued(db)
    for one in (job, other):
        if parked:
            lanes.park(ticket(one), "w1/key:k1")
        else:
            lanes.send(one)
    cancel(db, redis_client, job)
    ((n, _),) = lanes.waiting("chat").values()
    assert n == 1
    cancel(db, redis_client, other)
    assert lanes.waiting("chat") == {}
    assert lanes.take("chat", {"w1": 99}, 1, background=1) == "nothing"


def test_a_job_is_cancelled_while_redis_is_away(db):
    with redis.Redis(port=1, retry=Retry(NoBackoff(), 0)) as away:
        assert cancel(db, away, queued(db))["status"] == "cancelled"


def test_a_running_jobs_worker_is_asked_to_end_it(db, redis_client):
    job = claim(db, queued(db)["_id"], "p1")
    with redis_client.pubsub() as worker:
        worker.subscribe(signals.process_channel("p1"))
        assert worker.get_message(timeout=LONG_S)["type"] == "subscribe"
        asked = cancel(db, redis_client, job)
        assert worker.get_message(timeout=LONG_S)["data"].decode() == job["_id"]
    assert (asked["status"], asked["cancel_requested"]) == ("running", True)


def test_a_job_that_was_begun_and_handed_back_meanwhile_is_cancelled_with_its_calls(
    db, redis_client, meanwhile
):
    """They were charged: without them nobody would be billed for them."""
    job = queued(db)

    def begun_and_handed_back():
        hand_back(db, claim(db, job["_id"], "p1"), [{**CALL, "attempt": 1}])

    meanwhile.before("update", "jobs", begun_and_handed_back)
    assert cancel(meanwhile.db, redis_client, job)["status"] == "cancelled"
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert kept["calls"] == [{**CALL, "attempt": 1}]
    assert kept["meter"] == "due"


def test_a_job_that_changed_hands_meanwhile_is_ended_by_its_new_worker(db, redis_client, meanwhile):
    job = claim(db, queued(db)["_id"], "p1")

    def change_hands():
        hand_back(db, job, [])
        claim(db, job["_id"], "p2")

    meanwhile.before("update", "jobs", change_hands)
    with redis_client.pubsub() as worker:
        worker.subscribe(signals.process_channel("p2"))
        assert worker.get_message(timeout=LONG_S)["type"] == "subscribe"
        assert cancel(meanwhile.db, redis_client, job)["cancel_requested"]
        assert worker.get_message(timeout=LONG_S)["data"].decode() == job["_id"]


def test_a_job_that_ended_meanwhile_stays_as_it_ended(db, redis_client, meanwhile):
    job = claim(db, queued(db)["_id"], "p1")
    meanwhile.before(
        "update", "jobs", lambda: finish(db, job, status="succeeded", calls=[CALL], result={"answer": 42})
    )
    with pytest.raises(Conflict):
        cancel(meanwhile.db, redis_client, job)
    assert db.jobs.find_one({"_id": job["_id"]})["result"] == {"answer": 42}
