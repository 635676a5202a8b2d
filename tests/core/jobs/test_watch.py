"""Watching: woken by a signal, and right without one."""

import threading
from contextlib import closing
from itertools import islice

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import NotFound
from core.jobs import signals, watch
from core.jobs.claim import claim, finish, hand_back
from core.jobs.events import Emitter, stream_key
from tests.factory import CALL, queued
from tests.waiting import ending, until

HOUR = 3600


def end(db, redis_client, job_id):
    finish(db, claim(db, job_id, "p1"), status="succeeded", calls=[CALL], result={})
    if redis_client is not None:
        signals.publish(redis_client, signals.CHANGED, job_id)


@pytest.fixture
def later(redis_client):
    """Does something 0.3 s later; it has been done when the test's clients are closed."""
    timers = []

    def start(act, *args):
        timers.append(threading.Timer(0.3, act, args))
        timers[-1].start()

    yield start
    for timer in timers:
        timer.join()


def test_a_job_that_is_done_is_returned_at_once(db, watcher):
    job = queued(db)
    end(db, None, job["_id"])
    assert watcher.wait(job["_id"], 30)["status"] == "succeeded"


def test_a_signal_wakes_before_the_document_would_have_been_read_again(
    db, watcher, redis_client, monkeypatch, later
):
    monkeypatch.setattr(watch, "REREAD_S", HOUR)
    job = queued(db)
    later(end, db, redis_client, job["_id"])
    assert ending(lambda: watcher.wait(job["_id"], HOUR))["status"] == "succeeded"


def test_without_any_signal_the_document_is_read_again(db, watcher, monkeypatch, later):
    monkeypatch.setattr(watch, "REREAD_S", 0.5)
    job = queued(db)
    later(end, db, None, job["_id"])
    assert ending(lambda: watcher.wait(job["_id"], HOUR))["status"] == "succeeded"


def test_when_time_is_up_it_returns_the_job_as_it_is(db, watcher):
    assert watcher.wait(queued(db)["_id"], 0.1)["status"] == "queued"


def test_a_job_that_has_begun_meanwhile_is_shown_so_when_time_is_up(db, watcher):
    job = queued(db)
    claim(db, job["_id"], "p1")
    assert watcher.wait(job["_id"], 0.05, known=job)["status"] == "running"


def test_it_listens_again_after_its_connection_was_cut(db, watcher, redis_client, monkeypatch, later):
    monkeypatch.setattr(watch, "REREAD_S", HOUR)
    job = queued(db)
    redis_client.client_kill_filter(_type="pubsub")
    later(end, db, redis_client, job["_id"])
    assert ending(lambda: watcher.wait(job["_id"], HOUR))["status"] == "succeeded"


def test_what_was_signalled_while_it_did_not_listen_is_seen_when_it_does_again(
    db, watcher, redis_client, monkeypatch, later
):
    monkeypatch.setattr(watch, "REREAD_S", HOUR)
    job = queued(db)

    def end_unheard():
        end(db, None, job["_id"])
        redis_client.client_kill_filter(_type="pubsub")

    later(end_unheard)
    assert ending(lambda: watcher.wait(job["_id"], HOUR))["status"] == "succeeded"


def test_nobody_is_kept_in_memory_after_waiting(db, watcher):
    watcher.wait(queued(db)["_id"], 0.05)
    assert not watcher._waiting


def test_an_unknown_job_is_not_found(watcher):
    with pytest.raises(NotFound):
        watcher.wait("no-such-job", 1)


def told(watcher, job_id, last_event_id=None):
    """All events until `done`, as (kind, text or status, id)."""
    return [
        (e.kind, e.data.get("text") or e.data.get("status"), e.id)
        for e in watcher.follow(job_id, last_event_id)
        if e is not None
    ]


def running(db, redis_client, texts, attempts=1):
    """A job that runs, whose every claim but the last was lost after it had said `texts`."""
    job = queued(db)
    for attempt in range(1, attempts + 1):
        mine = claim(db, job["_id"], f"p{attempt}")
        emitter = Emitter(redis_client, job["_id"], attempt)
        for text in texts:
            emitter.emit("delta", {"text": text})
        if attempt < attempts:
            hand_back(db, mine, [])
    return mine, emitter


def test_following_tells_status_deltas_and_the_end(db, watcher, redis_client, later):
    mine, emitter = running(db, redis_client, ["a", "b"])

    def go_on():
        emitter.emit("delta", {"text": "c"})
        finish(db, mine, status="succeeded", calls=[CALL], result={})
        signals.publish(redis_client, signals.CHANGED, mine["_id"])

    later(go_on)
    assert told(watcher, mine["_id"]) == [
        ("status", "running", "0-0"),
        ("delta", "a", "1-1"),
        ("delta", "b", "1-2"),
        ("delta", "c", "1-3"),
        ("done", "succeeded", "1-3"),
    ]


def test_a_claim_runs_before_it_says_something_though_the_document_is_not_read_again(
    db, watcher, redis_client, monkeypatch
):
    monkeypatch.setattr(watch, "REREAD_S", HOUR)
    job = queued(db)
    told = ((e.kind, e.data.get("status"), e.data["attempt"]) for e in watcher.follow(job["_id"]))
    assert next(told) == ("status", "queued", 0)
    first = claim(db, job["_id"], "p1")
    Emitter(redis_client, job["_id"], 1).emit("delta", {"text": "a"})
    assert list(islice(told, 2)) == [("status", "running", 1), ("delta", None, 1)]
    hand_back(db, first, [])
    signals.publish(redis_client, signals.CHANGED, job["_id"])
    assert next(told) == ("status", "queued", 1)
    claim(db, job["_id"], "p2")
    Emitter(redis_client, job["_id"], 2).emit("delta", {"text": "b"})
    assert list(islice(told, 3)) == [("status", "running", 2), ("restart", None, 2), ("delta", None, 2)]


def test_following_resumes_after_the_last_event(db, watcher, redis_client):
    mine, _ = running(db, redis_client, ["a", "b", "c"])
    finish(db, mine, status="succeeded", calls=[CALL], result={})
    assert told(watcher, mine["_id"], "1-2") == [("delta", "c", "1-3"), ("done", "succeeded", "1-3")]


def test_a_new_claim_begins_with_restart(db, watcher, redis_client):
    mine, _ = running(db, redis_client, ["a"], attempts=2)
    finish(db, mine, status="succeeded", calls=[CALL], result={})
    assert [kind for kind, _, _ in told(watcher, mine["_id"])] == ["delta", "restart", "delta", "done"]


def test_a_dead_claim_cannot_write_after_a_new_one(db, watcher, redis_client):
    mine, _ = running(db, redis_client, ["a"], attempts=2)
    ghost = Emitter(redis_client, mine["_id"], 1)
    ghost.n = 7
    ghost.emit("delta", {"text": "late"})
    finish(db, mine, status="succeeded", calls=[CALL], result={})
    assert "late" not in [text for _, text, _ in told(watcher, mine["_id"])]


def test_lost_events_show_as_a_gap(db, watcher, redis_client):
    mine, _ = running(db, redis_client, ["a", "b", "c"])
    redis_client.xdel(stream_key(mine["_id"]), "1-2")
    finish(db, mine, status="succeeded", calls=[CALL], result={})
    assert [kind for kind, _, _ in told(watcher, mine["_id"])] == ["delta", "gap", "delta", "done"]


def test_many_events_come_in_order_and_complete(db, watcher, redis_client):
    words = [str(n) for n in range(1203)]
    mine, _ = running(db, redis_client, words)
    finish(db, mine, status="succeeded", calls=[CALL], result={})
    assert [text for kind, text, _ in told(watcher, mine["_id"]) if kind == "delta"] == words


def refusing(*_):
    raise AssertionError("the document was read")


def test_who_made_the_job_hears_its_end_without_reading_the_document(
    db, watcher, redis_client, monkeypatch, later
):
    job = queued(db)
    ended = finish(db, claim(db, job["_id"], "p1"), status="succeeded", calls=[CALL], result={"n": 1})
    monkeypatch.setattr(watcher, "_read", refusing)
    later(signals.publish, redis_client, signals.CHANGED, signals.ended(ended))
    told = ending(lambda: watcher.wait(job["_id"], HOUR, known=job))
    assert (told["status"], told["result"], told["_id"]) == ("succeeded", {"n": 1}, job["_id"])
    assert "request" not in told


def test_an_end_that_was_told_before_anybody_waited_is_not_missed(db, watcher, redis_client, monkeypatch):
    monkeypatch.setattr(watch, "REREAD_S", HOUR)
    job = queued(db)
    end(db, redis_client, job["_id"])
    until(lambda: job["_id"] in watcher._ended, "it has heard of the end")
    assert ending(lambda: watcher.wait(job["_id"], HOUR, known=job))["status"] == "succeeded"


def test_while_nothing_can_be_heard_a_new_job_is_read_at_once(db, watcher, monkeypatch):
    monkeypatch.setattr(watch, "REREAD_S", HOUR)
    watcher._subscribed = False
    job = queued(db)
    end(db, None, job["_id"])
    assert ending(lambda: watcher.wait(job["_id"], HOUR, known=job))["status"] == "succeeded"


def test_what_it_remembers_is_forgotten_when_somebody_configured_something(watcher, redis_client):
    watcher.remembered.kept_s = HOUR
    assert watcher.remembered.get("k", lambda: 1) == 1
    signals.publish(redis_client, signals.CONFIGURED, "")
    until(lambda: watcher.remembered.get("k", lambda: 2) == 2, "it reads again")


def test_what_it_remembers_is_forgotten_when_a_signal_may_have_been_lost(watcher, redis_client):
    watcher.remembered.kept_s = HOUR
    assert watcher.remembered.get("k", lambda: 1) == 1
    redis_client.client_kill_filter(_type="pubsub")
    until(lambda: watcher.remembered.get("k", lambda: 2) == 2, "it reads again")


def test_a_watcher_that_is_closed_tells_of_no_change(watcher, later):
    def close():
        until(lambda: watcher._waiting[watch.ANY], "somebody listens")
        watcher.close()

    later(close)
    assert ending(lambda: list(watcher.changes(lambda: False))) == []


def test_following_a_job_whose_events_cannot_be_read_at_its_end_shows_a_gap(db, watcher, monkeypatch):
    job = queued(db)
    end(db, None, job["_id"])
    with closing(redis.Redis(port=1, retry=Retry(NoBackoff(), 0))) as away:
        monkeypatch.setattr(watcher, "client", away)
        assert [kind for kind, _, _ in told(watcher, job["_id"])] == ["gap", "done"]


def test_following_ends_once_one_may_not_go_on(db, watcher):
    heard = []
    follow = watcher.follow(queued(db)["_id"], heartbeat_s=0.01, over=lambda: len(heard) == 2)
    heard.extend(islice(follow, 2))
    assert list(islice(follow, 3)) == []
