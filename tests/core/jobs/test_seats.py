"""Seats: who gets one, who hears of it, and where a job goes whose process does not."""

from types import SimpleNamespace

import pytest
from pymongo import MongoClient
from redis import TimeoutError
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import BudgetExceeded
from core.ids import new_id
from core.jobs import control, signals
from core.jobs.accept import accept
from core.jobs.claim import claim, finish, let_go
from core.jobs.document import jobs_of
from core.jobs.lanes import Lanes
from core.jobs.model import Idempotency
from core.jobs.seats import MOST_BYTES, Seats
from tests.factory import Sent, draft
from tests.waiting import LONG_S, subscribed


@pytest.fixture
def seats(redis_client):
    return Seats(redis_client)


@pytest.fixture
def listening(redis_client):
    """The process p1 listens; what it hears."""
    with redis_client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(signals.seat_channel("p1"))
        subscribed(redis_client, signals.seat_channel("p1"))

        def heard():
            while (message := pubsub.get_message(timeout=LONG_S)) is None:
                pass
            return signals.opened(message["data"])

        yield heard


def stored(db, job):
    return jobs_of(db).find_one({"_id": job["_id"]})


def test_each_seat_is_taken_once_and_of_whoever_has_the_most(seats):
    seats.offer("chat", "p1", 1)
    seats.offer("chat", "p2", 2)
    job = {"queue": "chat"}
    assert seats.take(job) == "p2"
    seats.offer("chat", "p1", 1)
    seats.offer("chat", "p2", 2)
    assert sorted(str(seats.take(job)) for _ in range(4)) == ["None", "p1", "p2", "p2"]


def test_a_seat_is_of_its_queue_and_ends_with_its_process(seats, redis_client):
    seats.offer("chat", "p1", 5)
    assert seats.take({"queue": "runtime"}) is None
    seats.withdraw("chat", "p1")
    assert seats.take({"queue": "chat"}) is None
    seats.offer("chat", "p1", 5)
    assert 0 < redis_client.ttl("vutler:seats:chat") <= 60


def test_nobody_is_seated_while_another_waits(seats, redis_client):
    seats.offer("chat", "p1", 5)
    lanes = Lanes(redis_client)
    lanes.send({"_id": new_id(), "queue": "chat", "workspace_id": "w2", "created_by": "k1", "agent_id": None})
    assert seats.take({"queue": "chat"}) is None
    lanes.take("chat", {}, 1, background=0)
    assert seats.take({"queue": "chat"}) == "p1"


def test_background_work_has_no_seat(seats):
    seats.offer("chat", "p1", 5)
    assert seats.take({"queue": "chat", "priority": "background"}) is None


def test_a_job_is_born_in_its_seat_and_its_process_hears_all_of_it(db, seats, listening):
    seats.offer("chat", "p1", 5)
    sent = Sent()
    asked = draft(request={"messages": [], "metadata": {"$ref": "x", "$id": "y"}})
    job, made = accept(db, sent, asked, seats=seats)
    heard = listening()
    assert made
    assert heard == stored(db, job)
    assert (heard["status"], heard["owner"], heard["attempt"]) == ("running", "p1", 1)
    assert heard["fence"]
    assert heard["request"]["metadata"] == {"$ref": "x", "$id": "y"}
    assert sent.ids == []


def test_a_job_whose_process_is_gone_takes_its_lane_and_others_are_not_seated_there(db, seats):
    seats.offer("chat", "gone", 5)
    sent = Sent()
    job, made = accept(db, sent, draft(), seats=seats)
    assert made
    assert sent.ids == [("chat", job["_id"])]
    kept = stored(db, job)
    assert (kept["status"], kept["owner"], kept["fence"]) == ("queued", None, None)
    assert (kept["attempt"], kept["started_at"], job["status"]) == (1, None, "queued")
    assert job == kept
    assert seats.take({"queue": "chat"}) is None


def test_a_job_stays_in_its_seat_when_nobody_knows_whether_its_process_was_told(db, redis_client, listening):
    class AnswerLost(type(redis_client)):
        def publish(self, *told):
            redis_client.publish(*told)
            raise TimeoutError("Timeout reading from socket")

    seats = Seats(AnswerLost(connection_pool=redis_client.connection_pool))
    seats.offer("chat", "p1", 1)
    sent = Sent()
    job, _ = accept(db, sent, draft(), seats=seats)
    assert listening() == stored(db, job)
    assert (stored(db, job)["status"], sent.ids) == ("running", [])


def test_a_job_of_which_nobody_heard_takes_its_lane_though_redis_goes_away_then(db, redis_client):
    class Going(type(redis_client)):
        def hdel(self, *_):
            raise TimeoutError("Timeout reading from socket")

    seats = Seats(Going(connection_pool=redis_client.connection_pool))
    seats.offer("chat", "gone", 1)
    sent = Sent()
    job, _ = accept(db, sent, draft(), seats=seats)
    assert sent.ids == [("chat", job["_id"])]
    assert stored(db, job)["status"] == "queued"


def test_a_job_of_which_nobody_heard_stays_there_to_be_found_when_the_store_goes_away_then(db, seats):
    seats.offer("chat", "gone", 1)
    sent = Sent()
    with MongoClient("mongodb://127.0.0.1:1/", serverSelectionTimeoutMS=10) as nowhere:
        job, made = accept(nowhere["x"], sent, draft(), insert=db.jobs.insert_one, seats=seats)
    assert (made, sent.ids) == (True, [])
    assert stored(db, job)["owner"] == job["owner"] == "gone"


def test_a_job_of_which_nobody_heard_and_that_is_cancelled_meanwhile_is_not_queued(db, redis_client, seats):
    def cancelled(job, _):
        control.cancel(db, redis_client, job)
        return False

    seats.offer("chat", "gone", 1)
    sent = Sent()
    nobody = SimpleNamespace(take=seats.take, tell=cancelled)
    job, made = accept(db, sent, draft(), seats=nobody)
    assert (made, sent.ids) == (True, [])
    assert (job["status"], stored(db, job)["cancel_requested"]) == ("running", True)


def test_what_is_not_stored_leaves_its_seat_to_others(db, seats, listening):
    def refused(document):
        raise BudgetExceeded

    mark = Idempotency(route="chat", key="a", hash="1")
    seats.offer("chat", "p1", 2)
    accept(db, Sent(), draft(idempotency=mark), seats=seats)
    for _ in range(3):
        _, made = accept(db, Sent(), draft(idempotency=mark), seats=seats)
        assert not made
        with pytest.raises(BudgetExceeded):
            accept(db, Sent(), draft(), insert=refused, seats=seats)
    assert [seats.take({"queue": "chat"}) for _ in range(2)] == ["p1", None]


def test_why_it_is_not_stored_is_told_though_redis_goes_away_then(db, redis_client):
    class Going(type(redis_client)):
        def hincrby(self, *_):
            raise TimeoutError("Timeout reading from socket")

    def refused(document):
        raise BudgetExceeded

    seats = Seats(Going(connection_pool=redis_client.connection_pool))
    seats.offer("chat", "p1", 1)
    with pytest.raises(BudgetExceeded):
        accept(db, Sent(), draft(), insert=refused, seats=seats)


def test_a_large_job_takes_its_lane(db, seats, listening):
    seats.offer("chat", "p1", 1)
    sent = Sent()
    large = draft(request={"messages": [{"role": "user", "content": "x" * MOST_BYTES}]})
    job, _ = accept(db, sent, large, seats=seats)
    assert sent.ids == [("chat", job["_id"])]
    assert (stored(db, job)["status"], stored(db, job)["attempt"]) == ("queued", 0)
    assert [seats.take({"queue": "chat"}) for _ in range(2)] == ["p1", None]


def test_without_redis_a_job_is_accepted_all_the_same(db, redis_client):
    away = Seats(redis_client.__class__(port=1, retry=Retry(NoBackoff(), 0)))
    sent = Sent()
    accept(db, sent, draft(), seats=away)
    assert len(sent.ids) == 1


@pytest.mark.parametrize(("never_begun", "attempt"), [(True, 1), (False, 2)])
def test_an_attempt_that_may_have_begun_is_not_given_again(db, seats, listening, never_begun, attempt):
    seats.offer("chat", "p1", 5)
    job, _ = accept(db, Sent(), draft(), seats=seats)
    queued = let_go(db, job, never_begun=never_begun)
    assert queued == stored(db, job)
    assert claim(db, job["_id"], "p2")["attempt"] == attempt


def test_what_another_process_has_by_now_is_not_let_go(db, seats, listening):
    seats.offer("chat", "p1", 5)
    job, _ = accept(db, Sent(), draft(), seats=seats)
    let_go(db, job)
    claim(db, job["_id"], "p2")
    assert let_go(db, job) is None
    assert stored(db, job)["owner"] == "p2"


def test_what_is_to_be_cancelled_is_not_queued_again(db, seats, listening, redis_client):
    seats.offer("chat", "p1", 5)
    job, _ = accept(db, Sent(), draft(), seats=seats)
    control.cancel(db, redis_client, job)
    assert let_go(db, job) is None
    assert stored(db, job)["status"] == "running"


def test_a_job_that_has_ended_in_its_seat_is_not_let_go_to_be_run_again(db, seats, listening):
    seats.offer("chat", "p1", 1)
    job, _ = accept(db, Sent(), draft(), seats=seats)
    assert finish(db, job, status="succeeded", calls=[], result={})
    assert let_go(db, job) is None
    assert stored(db, job)["status"] == "succeeded"
