"""Running a job: what its handler does, how it is stopped, and what is written down."""

import gc
import threading
import weakref
from dataclasses import replace

import pytest
from pymongo.errors import OperationFailure, WriteError

from core.errors import Invalid
from core.jobs import signals
from core.jobs.claim import claim
from core.jobs.places import Places, place
from core.jobs.reconcile import Reconciler
from core.jobs.run import Runner
from core.jobs.views import UNASKED, public
from core.services import Services, connect_mongo
from core.store import repeat
from tests.conftest import patient
from tests.factory import CALL, Sent, queued
from tests.proxy import Proxy
from tests.waiting import LONG_S, ending

IN_FLIGHT = {"outcome": "in_flight", "possibly_charged": True}
UPDATE = b"\x02update\x00"
"""How a command of this name begins, on the wire."""


class Inline:
    """Work that is done by the time it was started."""

    def __init__(self, function):
        function()

    def join(self, timeout_s):
        return True

    def kill(self):
        raise AssertionError("it has ended")


class Remembered(Inline):
    """Work that knows what it did, as a greenlet that was killed knows where it was."""

    def __init__(self, function):
        self.function = function
        function()


class Held:
    """Work that waits to be killed, as a provider that does not answer."""

    def __init__(self, function):
        self.killed = threading.Event()
        self.function = function

    def join(self, timeout_s):
        return self.killed.wait(timeout_s)

    def kill(self):
        self.killed.set()


class Never(Held):
    def join(self, timeout_s):
        return self.killed.is_set()


class Answering(Held):
    """Work whose answer is there just when it is asked to end."""

    def kill(self):
        self.function()
        self.killed.set()


@pytest.fixture
def services(db, settings, redis_client):
    return Services(
        settings.model_copy(update={"mongodb_database": db.name}), db.client, redis_client, None, Sent()
    )


def runner(services, handler, start=Inline):
    return Runner(services, "p1", {"chat": handler}, start=start, lost=lambda: True)


def answering(run):
    run.calls.append(dict(CALL))
    return {"answer": 42}


def test_it_carries_out_a_job_and_finishes_it(db, services):
    job = queued(db)
    runner(services, answering).run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["result"], kept["calls"]) == (
        "succeeded",
        {"answer": 42},
        [{**CALL, "attempt": 1}],
    )


def test_a_job_delivered_twice_is_carried_out_once(db, services):
    job, seen = queued(db), []
    one = runner(services, lambda run: seen.append(run.job["_id"]) or {})
    one.run(job["_id"])
    one.run(job["_id"])
    assert seen == [job["_id"]]


def test_a_problem_fails_the_job_and_tells_the_user(db, services):
    def refused(run):
        raise Invalid("the model is unknown", code="unknown_model")

    job = queued(db)
    runner(services, refused).run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["error"]["code"]) == ("failed", "unknown_model")


def test_what_a_failed_job_held_is_let_go_when_it_has_ended(db, services):
    held = []

    def refused(run):
        held.append(weakref.ref(run))
        raise Invalid("the model is unknown")

    job = queued(db)
    gc.disable()
    try:
        runner(services, refused, start=Remembered).run(job["_id"])
        assert [run() for run in held] == [None]
    finally:
        gc.enable()


def test_an_unexpected_error_fails_the_job_without_telling_what_it_quoted(db, services, capsys):
    def broken(run):
        raise RuntimeError("could not parse sk-secret-key")

    job = queued(db)
    runner(services, broken).run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["error"]["code"]) == ("failed", "internal")
    output = capsys.readouterr()
    assert "sk-secret-key" not in str(kept) + output.out + output.err


def stopped(db, services, reason, call=IN_FLIGHT, start=Held, **changes):
    """A job whose work was ended from outside while it waited for `call`."""
    job = queued(db, **changes)
    one = runner(services, lambda run: {"answer": 42}, start=start)
    thread = threading.Thread(target=one.run, args=(job["_id"],))
    thread.start()
    while job["_id"] not in one.running or one.running[job["_id"]].work is None:
        pass
    one.running[job["_id"]].calls.append({**CALL, **call})
    if reason == "handed_back":
        one.drain()
        one.hand_back_all()
    else:
        one.stop(job["_id"], reason)
    ending(thread.join)
    return db.jobs.find_one({"_id": job["_id"]})


def test_cancelling_ends_the_work_and_keeps_the_call_that_was_cut_off(db, services):
    kept = stopped(db, services, "cancelled")
    assert kept["status"] == "cancelled"
    assert [(c["outcome"], c["possibly_charged"]) for c in kept["calls"]] == [("cancelled", True)]


def test_handing_back_queues_it_again_and_sends_it(db, services):
    kept = stopped(db, services, "handed_back")
    assert kept["status"] == "queued"
    assert services.send.ids == [("chat", kept["_id"])]


@pytest.mark.parametrize(
    ("call", "ends_as"),
    [
        (IN_FLIGHT, ("failed", "worker_lost")),
        ({"outcome": "ok", "possibly_charged": False}, ("failed", "worker_lost")),
        ({"outcome": "provider_busy", "possibly_charged": False}, ("queued", None)),
    ],
)
def test_what_may_not_be_called_twice_is_not_handed_back_once_it_was_called(db, services, call, ends_as):
    plan = {"targets": [], "agent": {}, "on_worker_loss": "fail"}
    kept = stopped(db, services, "handed_back", call, plan=plan)
    assert (kept["status"], kept["error"] and kept["error"]["code"]) == ends_as


def test_an_answer_that_was_there_when_the_worker_was_stopped_is_kept(db, services):
    kept = stopped(db, services, "handed_back", start=Answering)
    assert (kept["status"], kept["result"]) == ("succeeded", {"answer": 42})


def test_a_job_that_is_cancelled_before_its_work_has_begun_is_ended_all_the_same(db, services):
    services.settings = services.settings.model_copy(update={"job_timeout_s": 0.2})
    job, works = queued(db), []

    def start(function):
        one.stop(job["_id"], "cancelled")
        works.append(Held(function))
        return works[0]

    one = runner(services, answering, start=start)
    one.run(job["_id"])
    assert works[0].killed.is_set()
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "cancelled"


def test_a_worker_that_is_stopped_does_not_run_again_what_was_over_its_deadline(db, services):
    """The first reason stands."""
    services.settings = services.settings.model_copy(update={"job_timeout_s": 0.2})
    job = queued(db)

    class Slow(Never):
        def kill(self):
            if not self.killed.is_set():
                super().kill()
                one.hand_back_all()

    one = runner(services, answering, start=Slow)
    one.run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["error"]["code"]) == ("failed", "deadline")


@pytest.mark.parametrize("metadata", [{}, {"seen": {"$ref": "x", "$id": 1}, "a.b": {"": [0]}}])
def test_whoever_watches_is_told_when_it_begins_and_when_it_has_ended(db, services, metadata):
    job = queued(db, metadata=metadata)
    with services.redis.pubsub() as listening:
        listening.subscribe(signals.CHANGED)
        assert listening.get_message(timeout=LONG_S)["type"] == "subscribe"
        runner(services, answering).run(job["_id"])
        heard = [signals.parsed(listening.get_message(timeout=LONG_S)["data"]) for _ in range(2)]
    assert [(s.mark, s.job_id) for s in heard] == [(signals.BEGUN, job["_id"]), (signals.ENDED, job["_id"])]
    stored = db.jobs.find_one({"_id": job["_id"]}, UNASKED)
    assert public(signals.opened(heard[1].told)) == public(stored)


def test_a_document_that_is_too_large_does_not_travel_with_its_signal(db, services):
    job = queued(db)
    with services.redis.pubsub() as listening:
        listening.subscribe(signals.CHANGED)
        assert listening.get_message(timeout=LONG_S)["type"] == "subscribe"
        runner(services, lambda run: {"message": "x" * signals.MOST_BYTES}).run(job["_id"])
        _, end = (signals.parsed(listening.get_message(timeout=LONG_S)["data"]) for _ in range(2))
    assert end == ("", job["_id"], b"")


def test_a_job_over_its_deadline_fails(db, services):
    services.settings = services.settings.model_copy(update={"job_timeout_s": 0.2})
    job = queued(db)
    runner(services, lambda run: {}, start=Never).run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["error"]["code"]) == ("failed", "deadline")


def test_a_job_whose_end_is_being_written_is_not_ended_again(db, services, meanwhile):
    """`Inline` minds being killed."""
    job = queued(db)
    one = runner(replace(services, mongo=meanwhile.db.client), answering)
    meanwhile.before("update", "jobs", lambda: None)  # the claim
    meanwhile.before("update", "jobs", one.hand_back_all)
    one.run(job["_id"])
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "succeeded"


def test_a_worker_that_is_told_to_end_does_not_wait_for_a_store_to_claim_from(services):
    def lost():
        one.drain()
        return False

    nowhere = services.settings.model_copy(update={"mongodb_uri": "mongodb://127.0.0.1:1"})
    away = replace(services, mongo=connect_mongo(nowhere, patience_s=0.1))
    one = Runner(away, "p1", {"chat": answering}, start=Inline, lost=lost)
    ending(lambda: one.run("j1"))
    away.mongo.close()


def test_a_draining_worker_claims_nothing(db, services):
    job = queued(db)
    one = runner(services, answering)
    one.drain()
    one.run(job["_id"])
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "queued"


def test_work_that_lost_its_job_changes_nothing_but_notes_its_calls(db, services):
    job = queued(db)

    def overtaken(run):
        run.calls.append(dict(CALL))
        db.jobs.update_one({"_id": job["_id"]}, {"$set": {"status": "queued", "fence": None}})
        assert claim(db, job["_id"], "p2")
        return {"from": "p1"}

    runner(services, overtaken).run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["owner"], kept["result"]) == ("running", "p2", None)
    assert [(u["attempt"], u["calls"]) for u in kept["unkept"]] == [(1, [{**CALL, "attempt": 1}])]


@pytest.mark.parametrize("at", ["claim", "finish"])
@pytest.mark.parametrize("losses", [1, 2, 3])
def test_replies_that_get_lost_neither_strand_a_job_nor_double_its_calls(db, settings, services, at, losses):
    job = queued(db)
    proxy = Proxy(settings.mongodb_uri)
    through = settings.model_copy(update={"mongodb_uri": proxy.uri})
    client = patient(through)
    behind = replace(services, mongo=client)

    def handler(run):
        if at == "finish":
            proxy.lose_reply_to(UPDATE, losses)
        return answering(run)

    client.admin.command("ping")
    if at == "claim":
        proxy.lose_reply_to(UPDATE, losses)
    try:
        one = Runner(behind, "p1", {"chat": handler}, start=Inline, lost=lambda: False)
        one.run(job["_id"])
        assert proxy.lost == losses
    finally:
        client.close()
        proxy.close()
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["attempt"], len(kept["calls"])) == ("succeeded", 1, 1)
    assert "unkept" not in kept


@pytest.mark.parametrize(
    "answer", ["y" * 17_000_000, "\ud83d", 2**70], ids=["too large", "no text", "no number"]
)
def test_an_answer_that_cannot_be_stored_fails_its_job_and_is_still_accounted_for(db, services, answer):
    job = queued(db)

    def calling(run):
        run.calls.append({**CALL, "usage_raw": {"x": answer}})
        return {"answer": answer}

    runner(services, calling).run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["error"]["code"], kept["meter"]) == ("failed", "not_storable", "due")
    assert kept["calls"] == [{**CALL, "attempt": 1, "usage_raw": None, "detail": None}]


@pytest.mark.parametrize("refusal", [OperationFailure("not authorized", 13), WriteError("disk full", 14031)])
def test_an_end_that_the_store_refuses_for_a_while_is_written_all_the_same(
    db, services, monkeypatch, refusal
):
    job, refused = queued(db), []
    one = Runner(services, "p1", {"chat": answering}, start=Inline, lost=lambda: False)
    take = one._by.update

    def update(name, change):
        if change.said["$literal"]["set"].get("finished_at") and len(refused) < 4:
            refused.append(name)
            raise refusal
        return take(name, change)

    monkeypatch.setattr(one._by, "update", update)
    monkeypatch.setattr(repeat, "LONGEST_PAUSE_S", 0.01)
    one.run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["result"], len(kept["calls"])) == ("succeeded", {"answer": 42}, 1)
    assert ("unkept" in kept, len(refused), one.running) == (False, 4, {})


def test_a_claim_that_the_store_refuses_for_a_while_is_carried_out(db, services, monkeypatch):
    job, refused = queued(db), []
    one = Runner(services, "p1", {"chat": answering}, start=Inline, lost=lambda: False)
    exceeded = one.bounds.exceeded

    def refusing(*asked):
        if not refused:
            refused.append(asked)
            raise OperationFailure("over your space quota", 8000)
        return exceeded(*asked)

    monkeypatch.setattr(one.bounds, "exceeded", refusing)
    one.run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["attempt"], len(refused)) == ("succeeded", 1, 1)


def test_a_job_over_whose_end_something_breaks_is_taken_up_by_others(db, services, redis_client):
    job = queued(db)

    def odd(run):
        run.calls.append({**CALL, "latency_ms": 2**70})  # no BSON has it, and no end without it is written
        return {}

    one = Runner(services, "p1", {"chat": odd}, start=Inline, lost=lambda: False)
    one.run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["status"], kept["owner"], one.running) == ("running", None, {})
    db.processes.insert_one({"_id": "p1", "dead": False, "beat": 1})
    sent = Sent()
    Reconciler(db, sent, ended=lambda _: None, lease_s=10).tick()
    assert sent.ids == [("chat", job["_id"])]


def placed(services, handler, *, lost=lambda: True, fresh=lambda: True):
    """A runner whose jobs take places; the places as well."""
    places = Places("p1", fresh)
    one = Runner(services, "p1", {"chat": handler}, start=Inline, lost=lost, places=places)
    return one, places


def test_what_it_ends_takes_the_next_place(db, services):
    one, _ = placed(services, answering)
    jobs = [queued(db) for _ in range(2)]
    for job in jobs:
        one.run(job["_id"])
    assert [db.jobs.find_one({"_id": job["_id"]})["meter"] for job in jobs] == [
        place("p1", 1),
        place("p1", 2),
    ]
    assert db.jobs.find_one({"_id": jobs[0]["_id"]})["place"] == place("p1", 1)


def test_a_job_that_holds_a_part_of_a_budget_is_due(db, services):
    one, _ = placed(services, answering)
    job = queued(db)
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"holds": {"2026-11": {"nonce": "n", "days": {}}}}})
    one.run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["meter"], "place" in kept) == ("due", False)


def test_the_place_of_an_end_that_came_too_late_is_given_to_the_next(db, services):
    job, other = queued(db), queued(db)

    def overtaken(run):
        if run.job["_id"] == job["_id"]:
            db.jobs.update_one({"_id": job["_id"]}, {"$set": {"status": "queued", "fence": None}})
            claim(db, job["_id"], "p2")
        return {}

    one, _ = placed(services, overtaken)
    one.run(job["_id"])
    one.run(other["_id"])
    assert db.jobs.find_one({"_id": other["_id"]})["meter"] == place("p1", 1)


def test_an_answer_that_cannot_be_stored_fails_its_job_in_the_place_it_had(db, services):
    job = queued(db)
    one, places = placed(services, lambda run: {"answer": 2**70})
    one.run(job["_id"])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert (kept["error"]["code"], kept["meter"]) == ("not_storable", place("p1", 1))
    assert places.take({"_id": "next", "fence": "of the next"}) == place("p1", 2)


def test_after_an_end_of_which_nobody_knows_no_place_is_taken(db, settings, services):
    proxy = Proxy(settings.mongodb_uri)
    client = patient(settings.model_copy(update={"mongodb_uri": proxy.uri}))
    job = queued(db)

    def handler(run):
        proxy.lose_reply_to(UPDATE, 9)
        return {}

    one, places = placed(replace(services, mongo=client), handler)
    try:
        client.admin.command("ping")
        one.run(job["_id"])
    finally:
        client.close()
        proxy.close()
    assert db.jobs.find_one({"_id": job["_id"]})["meter"] == place("p1", 1), "it was stored"
    assert places.take({"_id": "next", "fence": "of the next"}) is None, "but its reply was lost"


def test_an_end_that_is_cut_off_leaves_its_place_in_doubt(db, services, monkeypatch):
    job = queued(db)
    one, places = placed(services, answering)

    def cut_off(*_, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("core.jobs.run.finish", cut_off)
    with pytest.raises(KeyboardInterrupt):
        one.run(job["_id"])
    assert places.take({"_id": "next", "fence": "of the next"}) is None


def test_a_job_that_was_one_too_many_waits_in_its_lane_again(db, services):
    db["agents"].insert_one({"_id": "a1", "workspace_id": "w1", "max_running": 1})
    claim(db, queued(db)["_id"], "p2")
    one, job = runner(services, answering), queued(db)
    one.bounds.read(db)
    one.run(job["_id"])
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "queued"
    assert services.send.ids == [("chat", job["_id"])]
