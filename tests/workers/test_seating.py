"""Seating: jobs that are born in this process, or were to be."""

import threading
from types import SimpleNamespace

import pytest
from pymongo.errors import AutoReconnect

import workers.seating
from core.ids import new_id
from core.jobs import signals
from core.jobs.accept import accept
from core.jobs.claim import claim
from core.jobs.document import jobs_of
from core.jobs.run import Runner
from core.jobs.seats import Seats, message
from core.services import Services, connect_redis
from tests.factory import Sent, draft, queued
from tests.waiting import subscribed, until
from workers.broker import make_broker
from workers.seating import OFFERED, Seating
from workers.threads import ThreadWork


class Host:
    """A process that offers seats, whose jobs wait for `go`."""

    def __init__(self, db, settings, redis_client, slots=1000):
        self.db, self.sent, self.go = db, Sent(), threading.Event()
        self.went, self.client = [], connect_redis(settings)
        self.go.set()
        self.process_id = new_id()
        self.seats = Seats(redis_client)
        services = Services(
            settings.model_copy(update={"mongodb_database": db.name, "beat_s": 0.2}),
            db.client,
            redis_client,
            None,
            self.sent,
        )
        self.broker = make_broker(self.client, slots)
        self.broker.consume("chat")
        self.runner = Runner(
            services,
            self.process_id,
            {"chat": self._handle},
            start=ThreadWork,
            lost=lambda: False,
            bounds=self.broker.bounds,
        )
        self.seating = Seating(services.settings, self.runner, self.broker, "chat")

    def _handle(self, run):
        self.go.wait()
        self.went.append(run.job["_id"])
        return {"answer": 42}

    def ends(self):
        self.go.set()
        self.seating.close()
        until(lambda: self.broker.shares.free == self.broker.shares.slots, "all its work has ended")

    def listens(self):
        self.seating.start()
        subscribed(self.client, signals.seat_channel(self.process_id))
        until(self.offered, "it offers seats")

    def offer(self, seats):
        self.seats.offer("chat", self.process_id, seats)

    def offered(self):
        return int(self.client.hget("vutler:seats:chat", self.process_id) or 0)

    def born(self, **changes):
        job, _ = accept(self.db, self.sent, draft(**changes), seats=self.seats)
        return job["_id"]

    def unheard(self):
        """A job that was born here while nobody told."""
        self.offer(1)
        silent = SimpleNamespace(take=self.seats.take, tell=lambda *_: True)
        return accept(self.db, self.sent, draft(), seats=silent)[0]["_id"]

    def status(self, job_id):
        return self.db.jobs.find_one({"_id": job_id})["status"]

    def succeeds(self, job_id):
        until(lambda: self.status(job_id) == "succeeded", "it succeeds")


@pytest.fixture
def host(db, settings, redis_client):
    hosts = []

    def made(**more):
        hosts.append(Host(db, settings, redis_client, **more))
        return hosts[-1]

    yield made
    for one in hosts:
        one.ends()


def test_a_job_that_is_born_here_is_carried_out_and_its_slot_is_free_again(host):
    here = host()
    here.listens()
    job_id = here.born()
    here.succeeds(job_id)
    assert here.sent.ids == []
    until(lambda: here.broker.shares.free == here.broker.shares.slots, "its slot is free")


def test_seats_are_offered_again_before_they_run_out(host):
    here = host()
    here.listens()
    born = [here.born() for _ in range(2 * OFFERED)]
    for job_id in born:
        here.succeeds(job_id)
    until(lambda: here.offered() == OFFERED, "all are offered")
    assert sorted(here.went) == sorted(born)


def test_what_a_workspace_may_not_have_goes_to_its_lane_as_new(host):
    here = host(slots=5)
    here.go.clear()
    here.listens()
    born = [here.born() for _ in range(4)]
    until(lambda: len(here.runner.running) == 4, "four run")
    here.offer(5)
    one_more = here.born()
    until(lambda: ("chat", one_more) in here.sent.ids, "it is sent to its lane")
    kept = here.db.jobs.find_one({"_id": one_more})
    assert (kept["status"], kept["attempt"], kept.get("handed_back")) == ("queued", 0, None)
    here.offer(5)
    other = here.born(workspace_id="w2")
    until(lambda: other in here.runner.running, "another workspace has the free slot")
    here.go.set()
    for job_id in [*born, other]:
        here.succeeds(job_id)


def test_a_paused_queue_and_a_process_that_ends_offer_none_and_take_none(host):
    here = host()
    here.listens()
    here.broker.paused = frozenset({"chat"})
    until(lambda: here.offered() == 0, "it offers none")
    here.offer(1)
    job_id = here.born()
    until(lambda: here.status(job_id) == "queued", "it waits")
    here.broker.paused = frozenset()
    until(here.offered, "it offers again")
    here.runner.drain()
    here.offer(1)
    job_id = here.born()
    until(lambda: here.status(job_id) == "queued", "it waits")
    assert here.went == []


def test_a_job_above_its_bound_waits_in_its_lane(host):
    here = host()
    here.db.workspaces.insert_one({"_id": "w1", "max_running": 1})
    here.broker.read_bounds(here.db)
    here.go.clear()
    here.listens()
    first = here.born()
    until(lambda: first in here.runner.running, "the first one runs")
    second = here.born()
    until(lambda: here.status(second) == "queued", "the second waits")
    here.go.set()
    here.succeeds(first)


def test_a_job_of_which_nobody_told_is_carried_out_at_the_second_look(host):
    here = host()
    job_id = here.unheard()
    here.seating.missed([job_id])
    assert here.runner.running == {}
    here.seating.missed([job_id])
    here.succeeds(job_id)
    for _ in range(3):
        here.seating.missed([job_id])
    assert here.went == [job_id]


def test_a_job_that_was_found_is_not_taken_once_more_when_it_is_told_late(host):
    here = host(slots=5)
    here.go.clear()
    here.listens()
    job_id = here.unheard()
    for _ in range(2):
        here.seating.missed([job_id])
    until(lambda: job_id in here.runner.running, "it runs")
    job = jobs_of(here.db).find_one({"_id": job_id})
    for _ in range(2):
        here.seats.tell(job, message(job))
    until(here.offered, "it offers seats again")
    other = here.born(workspace_id="w2")  # told after it
    until(lambda: other in here.runner.running, "it was told")
    assert (here.status(job_id), here.sent.ids) == ("running", [])
    here.go.set()
    here.succeeds(job_id)
    assert here.went.count(job_id) == 1


def test_nor_when_it_has_ended_by_then(host):
    here = host()
    here.go.clear()
    here.listens()
    job_id = here.unheard()
    for _ in range(2):
        here.seating.missed([job_id])
    job = jobs_of(here.db).find_one({"_id": job_id})
    here.go.set()
    here.succeeds(job_id)
    until(lambda: here.broker.shares.free == here.broker.shares.slots, "its slot is free")
    here.seats.tell(job, message(job))
    until(here.offered, "it offers seats again")
    here.succeeds(here.born())  # told after it
    until(lambda: here.broker.shares.free == here.broker.shares.slots, "all have ended")
    assert here.went.count(job_id) == 1


def test_a_claim_of_this_process_is_nothing_that_was_missed(host):
    here = host()
    job = queued(here.db)
    claim(here.db, job["_id"], here.process_id)
    for _ in range(3):
        here.seating.missed([job["_id"]])
    assert here.status(job["_id"]) == "running"
    assert here.went == []


@pytest.mark.parametrize(
    "change", [{"owner": "p2"}, {"status": "failed"}], ids=["another has it", "it has ended"]
)
def test_what_is_this_ones_no_more_is_left_alone(host, change):
    here = host()
    job_id = here.unheard()
    here.db.jobs.update_one({"_id": job_id}, {"$set": change})
    for _ in range(2):
        here.seating.missed([job_id])
    assert (here.status(job_id), here.went) == (change.get("status", "running"), [])
    assert here.broker.shares.free == here.broker.shares.slots


def test_one_that_is_to_be_cancelled_is_cancelled_and_not_queued(host):
    here = host()
    here.listens()
    here.runner.drain()
    until(lambda: here.offered() == 0, "it offers none")
    job_id = here.unheard()
    here.db.jobs.update_one({"_id": job_id}, {"$set": {"cancel_requested": True}})
    for _ in range(2):
        here.seating.missed([job_id])
    until(lambda: here.status(job_id) == "cancelled", "it is cancelled")


def test_what_is_said_after_it_closed_is_heard_by_nobody_and_takes_its_lane(host):
    here = host()
    here.listens()
    here.seating.close()
    assert here.offered() == 0
    here.offer(1)
    job_id = here.born()
    assert here.sent.ids == [("chat", job_id)]
    assert here.status(job_id) == "queued"


def test_what_was_said_before_it_closed_goes_to_its_lane_before_it_ends(host):
    here = host()
    here.listens()
    here.runner.drain()
    here.offer(20)
    born = [here.born() for _ in range(20)]
    here.seating.close()
    assert {here.status(job_id) for job_id in born} == {"queued"}
    assert here.went == []


def test_no_more_is_offered_than_is_free(host):
    here = host(slots=5)
    here.go.clear()
    here.listens()
    assert here.offered() == 5
    here.born()
    until(lambda: here.offered() == 4, "one less is offered")


def test_a_bound_that_another_process_has_used_up_holds_here(host):
    here = host()
    here.db.workspaces.insert_one({"_id": "w1", "max_running": 1})
    claim(here.db, queued(here.db)["_id"], "another")
    here.broker.read_bounds(here.db)
    here.listens()
    job_id = here.born()
    until(lambda: here.status(job_id) == "queued", "it waits")
    assert here.went == []


def test_a_job_that_could_not_be_given_back_is_looked_for_again(db, settings, redis_client, monkeypatch):
    host, job = Host(db, settings, redis_client), queued(db)
    seat = {"status": "running", "owner": host.process_id, "fence": "f", "started_at": job["created_at"]}
    db.jobs.update_one({"_id": job["_id"]}, {"$set": seat})
    host.runner.draining = True

    def away(*_, **__):
        raise AutoReconnect("away")

    with monkeypatch.context() as patched:
        patched.setattr(workers.seating, "let_go", away)
        host.seating._take({**job, **seat})
    for _ in range(2):
        host.seating.missed([job["_id"]])
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "queued"


def test_what_is_said_while_it_closes_goes_to_its_lane_too(host):
    here = host()
    here.seating._hear = lambda *_: until(lambda: here.seating._told_to_close, "it closes")
    here.seating.start()
    subscribed(here.client, signals.seat_channel(here.process_id))
    here.offer(3)
    born = [here.born() for _ in range(3)]
    here.seating.close()
    assert {here.status(job_id) for job_id in born} == {"queued"}


def test_offers_that_redis_lost_are_made_again(host):
    here = host()
    here.listens()
    here.seats.withdraw("chat", here.process_id)
    until(here.offered, "it offers them again")


def test_whatever_is_said_there_it_goes_on_to_listen(host):
    here = host()
    here.listens()
    here.client.publish(signals.seat_channel(here.process_id), b"\xff")
    until(lambda: here.born() and here.went, "a job that is born later is carried out")


def test_when_redis_refuses_its_offers_it_makes_them_again(host):
    here, offers = host(), "vutler:seats:chat"
    here.listens()
    here.client.set(offers, "what is no hash")
    channel = signals.seat_channel(here.process_id)
    until(lambda: not here.client.pubsub_numsub(channel)[0][1], "it could not")
    here.client.delete(offers)
    until(here.offered, "it offers seats")


def test_jobs_that_have_begun_leave_room_for_others_to_begin(host):
    here = host()
    here.go.clear()
    here.listens()
    born = [here.born() for _ in range(here.broker.shares.beginning)]
    until(lambda: len(here.runner.running) == len(born), "all run")
    assert here.broker.shares.room(0) > 0


def test_it_remembers_no_more_than_the_last_that_it_heard_of(host, monkeypatch):
    monkeypatch.setattr(workers.seating, "REMEMBERED", 3)
    here = host()
    here.listens()
    for job_id in [here.born() for _ in range(5)]:
        here.succeeds(job_id)
    assert len(here.seating._heard) == 3


def test_what_still_runs_is_not_begun_again_though_it_does_not_remember_that_it_heard_of_it(
    host, monkeypatch
):
    monkeypatch.setattr(workers.seating, "REMEMBERED", 1)
    here = host()
    here.go.clear()
    here.listens()
    born = [here.born() for _ in range(2)]
    until(lambda: len(here.runner.running) == 2, "both run")
    for _ in range(2):
        here.seating.missed(born[:1])
    here.go.set()
    for job_id in born:
        here.succeeds(job_id)
    until(lambda: here.broker.shares.free == here.broker.shares.slots, "all have ended")
    assert sorted(here.went) == sorted(born)
