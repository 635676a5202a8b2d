"""Claim, finish, hand back: one owner at a time, and a fence against the ones before."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.clock import utcnow
from core.jobs.claim import claim, disown, finish, hand_back, note_unkept
from core.jobs.model import ending, queued_again
from tests.conftest import patient
from tests.factory import CALL, TARGET, queued
from tests.proxy import Proxy


def test_a_message_delivered_twice_is_carried_out_once(db):
    job = queued(db)
    with ThreadPoolExecutor(20) as pool:
        claims = list(pool.map(lambda n: claim(db, job["_id"], f"p{n}"), range(20)))
    won = [c for c in claims if c]
    assert len(won) == 1
    assert won[0]["attempt"] == 1
    assert db.jobs.find_one({"_id": job["_id"]})["owner"] == won[0]["owner"]


def test_two_deliveries_within_one_process_do_not_share_a_claim(db):
    job = queued(db)
    with ThreadPoolExecutor(10) as pool:
        claims = list(pool.map(lambda _: claim(db, job["_id"], "p1"), range(10)))
    assert len([c for c in claims if c]) == 1


def test_only_queued_jobs_can_be_claimed(db):
    job = queued(db)
    mine = claim(db, job["_id"], "p1")
    assert finish(db, mine, status="succeeded", calls=[CALL], result={"ok": True})
    assert claim(db, job["_id"], "p2") is None
    assert claim(db, "no-such-job", "p2") is None


def test_a_job_that_was_begun_and_handed_back_meanwhile_is_left_for_its_new_message(db, meanwhile):
    """Else two attempts would have the same number, and the ledger would take their calls for the same."""
    job = queued(db)
    meanwhile.before("update", "jobs", lambda: hand_back(db, claim(db, job["_id"], "p1"), []))
    assert claim(meanwhile.db, job["_id"], "p2") is None


def test_a_job_that_was_cancelled_meanwhile_stays_so(db, meanwhile):
    job = queued(db)
    cancelled = ending(job, status="cancelled", now=utcnow())
    meanwhile.before("update", "jobs", lambda: db.jobs.update_one({"_id": job["_id"]}, cancelled))
    assert claim(meanwhile.db, job["_id"], "p1") is None
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "cancelled"


def test_a_job_that_was_moved_to_another_queue_meanwhile_is_left_to_its_processes(db, meanwhile):
    job = queued(db)
    moved = {"$set": {"queue": "isolation"}}
    meanwhile.before("update", "jobs", lambda: db.jobs.update_one({"_id": job["_id"]}, moved))
    assert claim(meanwhile.db, job["_id"], "p1", queues=["chat"]) is None


def test_what_has_ended_does_not_end_again(db):
    mine = claim(db, queued(db)["_id"], "p1")
    finish(db, mine, status="succeeded", calls=[CALL], result={"answer": 42})
    ended = db.jobs.find_one({"_id": mine["_id"]})
    finish(db, mine, status="failed", calls=[CALL], error={"code": "late"})
    hand_back(db, mine, [CALL])
    assert db.jobs.find_one({"_id": mine["_id"]}) == ended


def test_finishing_sets_result_calls_and_meter_and_removes_an_earlier_versions_sealed_key(db):
    target = {**TARGET, "sealed": "v1.sealed.text"}
    mine = claim(db, queued(db, plan={"targets": [target]})["_id"], "p1")
    assert finish(db, mine, status="succeeded", calls=[CALL], result={"answer": 42})
    kept = db.jobs.find_one({"_id": mine["_id"]})
    assert (kept["status"], kept["result"], kept["meter"]) == ("succeeded", {"answer": 42}, "due")
    assert kept["calls"] == [CALL]
    assert kept["owner"] is None
    assert "v1.sealed.text" not in str(kept)


def test_a_job_without_calls_is_entered_too_for_its_callback_and_the_history(db):
    mine = claim(db, queued(db)["_id"], "p1")
    finish(db, mine, status="failed", calls=[], error={"code": "x"})
    assert db.jobs.find_one({"_id": mine["_id"]})["meter"] == "due"


def test_a_claim_that_was_taken_over_can_neither_finish_nor_give_up(db):
    job = queued(db)
    old = claim(db, job["_id"], "p1")
    db.jobs.update_one({"_id": job["_id"]}, {"$set": queued_again(utcnow())})  # its owner was declared dead
    new = claim(db, job["_id"], "p2")
    assert not finish(db, old, status="succeeded", calls=[CALL], result={"from": "old"})
    assert not hand_back(db, old, [])
    assert not disown(db, old)
    assert db.jobs.find_one({"_id": job["_id"]})["owner"] == "p2"
    assert finish(db, new, status="succeeded", calls=[CALL], result={"from": "new"})
    assert not finish(db, old, status="failed", calls=[], error={})
    assert db.jobs.find_one({"_id": job["_id"]})["result"] == {"from": "new"}


def test_calls_of_a_lost_claim_are_kept_aside_once(db):
    job = queued(db)
    old = claim(db, job["_id"], "p1")
    hand_back(db, old, [])
    note_unkept(db, old, [])
    for _ in range(3):
        note_unkept(db, old, [{**CALL, "provider_request_id": "req_1"}])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert [u["attempt"] for u in kept["unkept"]] == [1]
    assert len(kept["unkept"][0]["calls"]) == 1
    assert kept["meter"] == "due"
    assert "req_1" in kept["known_as"], "the job is found by what the provider calls them"


def test_calls_that_were_kept_with_the_job_are_not_kept_aside_as_well(db):
    mine = claim(db, queued(db)["_id"], "p1")
    calls = [{**CALL, "attempt": 1}]
    finish(db, mine, status="succeeded", calls=calls, result={})
    note_unkept(db, mine, calls)
    kept = db.jobs.find_one({"_id": mine["_id"]})
    assert kept["calls"] == calls
    assert "unkept" not in kept


def test_handing_back_is_not_losing_and_keeps_the_calls(db):
    job = queued(db)
    mine = claim(db, job["_id"], "p1")
    assert hand_back(db, mine, [{**CALL, "outcome": "cancelled"}])
    kept = db.jobs.find_one({"_id": job["_id"]})
    assert kept["status"] == "queued"
    assert "lost" not in kept
    assert [h["owner"] for h in kept["handed_back"]] == ["p1"]
    again = claim(db, job["_id"], "p2")
    assert again["attempt"] == 2
    finish(db, again, status="succeeded", calls=[CALL], result={})
    assert [c["outcome"] for c in db.jobs.find_one({"_id": job["_id"]})["calls"]] == ["cancelled", "ok"]


def test_a_job_whose_cancellation_was_asked_for_is_cancelled_instead_of_handed_back(db):
    job = queued(db)
    mine = claim(db, job["_id"], "p1")
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"cancel_requested": True}})
    assert hand_back(db, mine, [])
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "cancelled"


@pytest.mark.parametrize("step", ["claim", "finish", "hand_back"])
def test_a_reply_that_got_lost_is_not_a_lost_fence(db, settings, step):
    job = queued(db)
    proxy = Proxy(settings.mongodb_uri)
    through = settings.model_copy(update={"mongodb_uri": proxy.uri})
    client = patient(through)
    behind = client[db.name]
    try:
        if step == "claim":
            behind.jobs.find_one({"_id": job["_id"]})
            proxy.lose_reply_to(b"\x02update\x00")
            assert claim(behind, job["_id"], "p1")["attempt"] == 1
        else:
            mine = claim(behind, job["_id"], "p1")
            proxy.lose_reply_to(b"\x02update\x00")
            end = (
                finish(behind, mine, status="succeeded", calls=[CALL], result={"n": 1})
                if step == "finish"
                else hand_back(behind, mine, [CALL])
            )
            assert end
        assert proxy.lost == 1
        kept = db.jobs.find_one({"_id": job["_id"]})
        assert kept["attempt"] == 1
        assert kept["status"] == {"claim": "running", "finish": "succeeded", "hand_back": "queued"}[step]
        assert len(kept["calls"]) == (0 if step == "claim" else 1)
    finally:
        client.close()
        proxy.close()
