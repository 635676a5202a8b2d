"""Reconciling: dead owners, lost messages, outages; with a clock that the test turns."""

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from core.jobs import lease
from core.jobs.claim import claim, finish, hand_back, let_go
from core.jobs.reconcile import Reconciler
from tests.conftest import patient
from tests.factory import CALL, Sent, queued
from tests.proxy import Proxy

LEASE = 15


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class World:
    """A reconciler, what it sends, whom it wakes, and the clock it reads."""

    def __init__(self, db):
        self.db, self.sent, self.ended, self.clock = db, Sent(), [], Clock()
        self.reconciler = Reconciler(
            db,
            self.sent,
            ended=self.ended.append,
            lease_s=LEASE,
            monotonic=self.clock,
        )

    def tick(self, seconds=0.0, beating=()):
        """Let time pass in steps of 2 s, ticking, while the processes in `beating` renew their leases."""
        until = self.clock.now + seconds
        while True:
            for process_id in beating:
                lease.renew(self.db, process_id)
            done = self.reconciler.tick()
            if self.clock.now >= until:
                return done
            self.clock.now = min(self.clock.now + 2, until)


@pytest.fixture
def world(db):
    return World(db)


def process(db):
    return lease.register(db, role="chat", host="h1", queues=["chat"], slots=1, version="test")


def test_a_silent_process_is_dead_after_a_lease_and_its_job_is_taken_up(db, world):
    owner = process(db)
    job = claim(db, queued(db)["_id"], owner)
    world.tick(LEASE - 1)
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "running"
    world.tick(4)
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert kept["status"] == "queued"
    assert [(x["attempt"], x["owner"]) for x in kept["lost"]] == [(1, owner)]
    assert world.sent.ids == [("chat", job["_id"])]


def test_a_process_that_beats_keeps_its_jobs(db, world):
    owner = process(db)
    job = claim(db, queued(db)["_id"], owner)
    world.tick(LEASE * 4, beating=[owner])
    assert db.jobs.find_one({"_id": job["_id"]})["owner"] == owner


def test_a_process_that_was_declared_dead_learns_of_it_and_cannot_finish(db, world):
    owner = process(db)
    job = claim(db, queued(db)["_id"], owner)
    world.tick(LEASE + 3)
    assert not lease.renew(db, owner)
    assert not finish(db, job, status="succeeded", calls=[CALL], result={})


def test_after_a_break_of_its_own_nobody_is_dead_before_a_whole_lease(db, world):
    """A scheduler that was stopped, or a store that was away, must not count that time as silence."""
    owner = process(db)
    job = claim(db, queued(db)["_id"], owner)
    world.tick(10)
    world.clock.now += 600
    world.tick(LEASE - 1)
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "running"
    world.tick(LEASE, beating=[owner])
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "running"


def test_a_short_sleep_of_its_own_is_nobodys_silence(db, world):
    """A host that slept for a lease slept with its workers: none of them had a chance to beat."""
    owner = process(db)
    claim(db, queued(db)["_id"], owner)
    world.tick()
    world.clock.now += LEASE + 1
    world.tick()
    assert lease.renew(db, owner)


def test_a_process_that_claims_while_the_tick_looks_keeps_its_job(db, world, meanwhile):
    job, owners = queued(db), []

    def newcomer():
        owners.append(process(db))
        claim(db, job["_id"], owners[0])

    meanwhile.before("find", "jobs", newcomer)
    world.reconciler.db = meanwhile.db
    world.tick()
    assert db.jobs.find_one({"_id": job["_id"]})["owner"] == owners[0]


def test_a_job_that_changed_hands_while_the_tick_looked_is_left_to_its_new_owner(db, world, meanwhile):
    job, owner = claim(db, queued(db)["_id"], "gone"), process(db)

    def change_hands():
        hand_back(db, job, [])
        claim(db, job["_id"], owner)

    meanwhile.before("update", "jobs", change_hands)
    world.reconciler.db = meanwhile.db
    assert world.tick()["taken_up"] == 0
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["owner"], kept["attempt"]) == ("running", owner, 2)


def test_a_process_that_beats_just_before_it_is_declared_dead_lives_on(db, world, meanwhile):
    owner = process(db)
    world.tick(LEASE - 1)
    meanwhile.before("update", "processes", lambda: lease.renew(db, owner))
    world.reconciler.db = meanwhile.db
    assert world.tick(2)["declared_dead"] == 0
    assert lease.renew(db, owner)


def test_an_error_of_the_store_starts_the_lease_anew(db, world):
    owner = process(db)
    claim(db, queued(db)["_id"], owner)
    world.tick(LEASE - 1)
    with MongoClient("mongodb://127.0.0.1:1/", serverSelectionTimeoutMS=10) as nowhere:
        world.reconciler.db = nowhere["x"]
        with pytest.raises(PyMongoError):
            world.reconciler.tick()
    world.reconciler.db = db
    world.tick(LEASE - 1)
    assert lease.renew(db, owner)


def test_a_process_that_retired_loses_what_it_left_at_once(db, world):
    owner = process(db)
    job = claim(db, queued(db)["_id"], owner)
    lease.retire(db, owner)
    world.tick()
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "queued"


def test_a_job_whose_owner_is_unknown_is_taken_up(db, world):
    job = claim(db, queued(db)["_id"], "never-registered")
    world.tick()
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "queued"


def status(db, job):
    return db.jobs.find_one({"_id": job["_id"]})["status"]


def test_where_nothing_was_lost_and_everybody_lives_on_it_looks_again_within_ten_seconds(db, world):
    living = process(db)
    world.tick()
    job = claim(db, queued(db)["_id"], "never-registered")
    world.tick(8, beating=[living])
    assert status(db, job) == "running"
    world.tick(2, beating=[living])
    assert status(db, job) == "queued"


def test_it_looks_again_at_once_when_somebody_has_left_or_come(db, world):
    living, leaving = process(db), process(db)
    world.tick()
    job = claim(db, queued(db)["_id"], leaving)
    lease.retire(db, leaving)
    world.tick(beating=[living])
    assert status(db, job) == "queued"
    world.tick(beating=[living])
    process(db)
    job = claim(db, queued(db)["_id"], "never-registered")
    world.tick(beating=[living])
    assert status(db, job) == "queued"


def test_it_looks_again_at_once_after_it_found_something_and_after_an_error(db, world):
    for _ in range(2):
        job = claim(db, queued(db)["_id"], "never-registered")
        world.tick()
        assert status(db, job) == "queued"
    world.tick()
    job = claim(db, queued(db)["_id"], "never-registered")
    with MongoClient("mongodb://127.0.0.1:1/", serverSelectionTimeoutMS=10) as nowhere:
        world.reconciler.db = nowhere["x"]
        with pytest.raises(PyMongoError):
            world.reconciler.tick()
    world.reconciler.db = db
    world.tick()
    assert status(db, job) == "queued"


def test_a_lost_job_whose_cancellation_was_asked_for_is_cancelled(db, world):
    job = claim(db, queued(db)["_id"], "gone")
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"cancel_requested": True}})
    world.tick()
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "cancelled"
    assert world.ended == [job["_id"]]


def test_so_is_one_that_is_cancelled_while_it_is_taken_up(db, world):
    claim(db, queued(db)["_id"], process(db))
    seen = db.jobs.find_one()
    db.jobs.update_one({}, {"$set": {"cancel_requested": True}})
    assert world.reconciler._take_up(seen) is False
    world.tick(LEASE + 4)
    assert (db.jobs.find_one()["status"], world.sent.ids) == ("cancelled", [])


def test_on_worker_loss_fail_never_runs_the_call_again(db, world):
    job = queued(db, plan={"targets": [], "agent": {}, "on_worker_loss": "fail"})
    claim(db, job["_id"], "gone")
    world.tick()
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["error"]["code"]) == ("failed", "worker_lost")
    assert world.ended == [job["_id"]]
    assert world.sent.ids == []


def test_the_second_lost_owner_isolates_and_the_third_quarantines(db, world):
    job = queued(db)
    queues = []
    for _ in range(3):
        assert claim(db, job["_id"], "gone")
        world.tick()
        kept = db.jobs.find_one({"_id": job["_id"]})
        queues.append(kept["queue"])
    assert queues == ["chat", "isolation", "isolation"]
    assert [queue for queue, _ in world.sent.ids] == ["chat", "isolation"]
    assert (kept["status"], kept["error"]["code"]) == ("failed", "quarantined")
    assert len(kept["lost"]) == 3


def test_what_was_taken_up_is_sent_though_the_stores_reply_got_lost(db, world, settings):
    job = claim(db, queued(db)["_id"], "gone")
    proxy = Proxy(settings.mongodb_uri)
    try:
        with patient(settings.model_copy(update={"mongodb_uri": proxy.uri})) as client:
            world.reconciler.db = client[db.name]
            proxy.lose_reply_to(b"\x02update\x00")
            world.tick()
    finally:
        proxy.close()
    assert (proxy.lost, world.sent.ids) == (1, [("chat", job["_id"])])


def test_a_seated_job_that_began_elsewhere_meanwhile_is_not_taken_up(db, meanwhile):
    """It is let go, and begun as if for the first time: its attempt has the same number."""
    lost, owner = process(db), process(db)
    job = queued(db)
    born = {"status": "running", "owner": lost, "fence": "f", "attempt": 1}
    db.jobs.update_one({"_id": job["_id"]}, {"$set": born})
    db.processes.update_one({"_id": lost}, {"$set": {"dead": True}})

    def begins():
        let_go(db, {**job, **born}, never_begun=True)
        assert claim(db, job["_id"], owner)["attempt"] == 1

    meanwhile.before("update", "jobs", begins)
    World(meanwhile.db).reconciler.tick()
    assert db.jobs.find_one({"_id": job["_id"]})["owner"] == owner
