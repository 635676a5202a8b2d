"""Overdue jobs: what nobody took is sent again, a bounded number in each tick, nobody's before another's."""

from datetime import UTC, datetime, timedelta

import pytest

from core.clock import utcnow
from core.ids import new_id
from core.jobs import overdue
from core.jobs.claim import claim
from core.jobs.lanes import Lanes
from core.jobs.model import born
from core.jobs.overdue import Overdue
from core.runtime import jobs
from core.store.indexes import INDEXES
from tests.conftest import patient
from tests.core.jobs.test_queries import by_indexes
from tests.core.metering.test_reads import Asked
from tests.factory import Sent, draft, queued

LATER = timedelta(seconds=1)


@pytest.fixture
def sent():
    return Sent()


@pytest.fixture
def passes(db, sent):
    return Overdue(db, sent)


def due(db, *workspaces, ago=LATER):
    """A job of each of these workspaces that should have been taken by now."""
    ids = [queued(db, workspace_id=name)["_id"] for name in workspaces]
    db.jobs.update_many({"_id": {"$in": ids}}, {"$set": {"send_after": utcnow() - ago}})
    return ids


def test_a_queued_job_whose_message_was_lost_is_sent_until_it_is_taken(db, passes, sent):
    (job_id,) = due(db, "w1")
    passes.tick()
    passes.tick()
    assert sent.ids == [("chat", job_id)] * 2
    claim(db, job_id, "p1")
    passes.tick()
    assert len(sent.ids) == 2


def test_a_job_that_is_not_due_is_left_alone(db, passes, sent):
    queued(db)
    assert passes.tick() == {"placed_anew": 0, "resent": 0}
    assert sent.ids == []


@pytest.mark.parametrize("among", [0, 3], ids=["alone", "among many"])
def test_a_job_that_was_accepted_before_the_clock_was_set_is_sent(db, passes, sent, monkeypatch, among):
    monkeypatch.setattr(overdue, "A_TICK", 2)
    due(db, *["w1"] * among)
    passes.tick()
    (job_id,) = due(db, "w1", ago=utcnow() - datetime(1970, 1, 2, tzinfo=UTC))
    for _ in range(3):
        passes.tick()
    assert ("chat", job_id) in sent.ids


def test_a_pass_is_spread_over_ticks_and_comes_to_each_once(db, passes, sent, monkeypatch):
    monkeypatch.setattr(overdue, "A_TICK", 2)
    ids = due(db, *["w1"] * 5)
    assert [passes.tick()["resent"] for _ in range(3)] == [2, 2, 1]
    assert sorted(job_id for _, job_id in sent.ids) == sorted(ids)


def test_no_workspace_waits_for_the_backlog_of_another(db, passes, sent, monkeypatch):
    monkeypatch.setattr(overdue, "A_TICK", 3)
    due(db, *["w1"] * 5, ago=2 * LATER)
    (theirs,) = due(db, "w2")
    passes.tick()
    assert ("chat", theirs) in sent.ids


def test_what_a_pass_has_no_room_for_comes_with_the_next(db, passes, sent, monkeypatch):
    monkeypatch.setattr(overdue, "A_PASS", 2)
    ids = [due(db, "w1", ago=n * LATER)[0] for n in range(6, 1, -1)]
    for _ in range(5):
        passes.tick()
    assert {job_id for _, job_id in sent.ids} == set(ids)


def test_a_long_backlog_is_read_bit_by_bit(db, sent, settings, monkeypatch):
    """To read it in one go would hold up everybody else."""
    monkeypatch.setattr(overdue, "A_TICK", 200)
    end = utcnow() - LATER
    jobs = [born(draft(), new_id(), end) for _ in range(800)]
    db.jobs.insert_many(
        {**job, "send_after": end - timedelta(milliseconds=20 * n)} for n, job in enumerate(jobs)
    )
    passes = Overdue(db, sent)
    for _ in range(4):  # nobody knew how many there are
        passes.tick()
    sent.ids.clear()
    with by_indexes(db, settings, whole=("processes",), most=300) as passes.db:
        for _ in range(5):  # a pass, and the beginning of the next
            passes.tick()
    assert len(set(sent.ids)) == len(jobs)
    assert len(sent.ids) == 1000


def test_a_pass_comes_in_the_order_of_its_index(db, sent, settings):
    """For more than that MongoDB gathers all of them, with what was asked, before it gives the first."""
    due(db, "w1")
    reads = Asked()
    with patient(settings, event_listeners=[reads]) as client:
        Overdue(client[db.name], sent).tick()
    (index,) = [one.document["key"] for one in INDEXES["jobs"] if one.document["name"] == "open"]
    sorts = [list(names) for collection, names in reads.sorts if collection == "jobs"]
    assert sorts == [list(index)[1:]]


def test_while_redis_is_away_nothing_counts_as_sent(db, passes, sent):
    (job_id,) = due(db, "w1")
    sent.away = True
    assert passes.tick()["resent"] == 0
    sent.away = False
    assert passes.tick()["resent"] == 1
    assert sent.ids == [("chat", job_id)]


def test_what_redis_lost_comes_back_and_what_it_has_is_there_once(db, redis_client):
    lanes = Lanes(redis_client)
    ids = due(db, "w1", "w1", "w2")
    passes = Overdue(db, lanes.send)
    for _ in range(2):
        passes.tick()
    assert {name: n for name, (n, _) in lanes.waiting("chat").items()} == {"w1": 2, "w2": 1}
    redis_client.flushdb()
    passes.tick()
    taken = [lanes.take("chat", {}, 1, background=1)[0].job_id for _ in range(3)]
    assert sorted(taken) == sorted(ids)


def test_a_time_from_the_future_is_brought_back(db, passes, sent):
    (job_id,) = due(db, "w1", ago=-timedelta(days=2))
    passes.tick()
    assert sent.ids == [("chat", job_id)]


def test_two_leaders_that_overlap_put_each_job_into_its_lane_once(db, redis_client):
    lanes = Lanes(redis_client)
    ids = due(db, "w1", "w1", "w2")
    first, second = Overdue(db, lanes.send), Overdue(db, lanes.send)
    first.tick()
    second.tick()
    taken = [lanes.take("chat", {}, 9, background=1)[0].job_id for _ in range(3)]
    assert sorted(taken) == sorted(ids)
    assert lanes.take("chat", {}, 9, background=1) == "nothing"


@pytest.fixture
def chosen(monkeypatch):
    """Places jobs on the host h1; `meanwhile(job_id)`, which can be replaced, happens as it is chosen."""

    class Chosen:
        meanwhile = staticmethod(lambda job_id: None)

        def place(self, _, job):
            self.meanwhile(job["_id"])
            return "h1"

    chosen = Chosen()
    monkeypatch.setattr(jobs, "place", chosen.place)
    return chosen


def without_a_host(db):
    (job_id,) = due(db, "w1")
    db.jobs.update_one({"_id": job_id}, {"$set": {"kind": "agent_start", "queue": "runtime"}})
    return job_id


def test_a_job_that_has_a_host_at_last_is_sent_there_once(db, passes, sent, chosen):
    job_id = without_a_host(db)
    assert [passes.tick()["placed_anew"] for _ in range(2)] == [1, 0]
    assert sent.ids == [("runtime.h1", job_id)]


@pytest.mark.parametrize(
    "change", [{"status": "cancelled"}, {"queue": "runtime.h2"}], ids=["is cancelled", "was placed"]
)
def test_a_job_that_changes_while_its_host_is_chosen_stays_as_it_is(db, passes, sent, chosen, change):
    job_id = without_a_host(db)
    chosen.meanwhile = lambda job_id: db.jobs.update_one({"_id": job_id}, {"$set": change})
    assert passes.tick()["placed_anew"] == 0
    assert sent.ids == []
    assert db.jobs.find_one({"_id": job_id})["queue"] != "runtime.h1"
