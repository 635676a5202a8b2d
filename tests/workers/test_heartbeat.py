"""The heartbeat: it keeps a process alive in the eyes of others, and ends one that is as good as dead."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import workers.heartbeat
from core.jobs import lease
from core.jobs.reconcile import Reconciler
from tests.factory import Sent, queued
from tests.stack import ROOT
from tests.waiting import LONG_S, until
from workers.heartbeat import CRASHED, LOOP_STUCK_S, Heartbeat


@pytest.fixture
def process_id(db):
    return lease.register(db, role="chat", host="h1", queues=["chat"], slots=1, version="test")


@pytest.fixture
def heartbeat(db, settings, process_id):
    """Beats every 50 ms; `heartbeat.told` is set when it finds itself declared dead."""
    told = threading.Event()
    quick = settings.model_copy(update={"mongodb_database": db.name, "beat_s": 0.05})
    heartbeat = Heartbeat(quick, process_id, on_lost=told.set, done=lambda: (7, ["j1"]))
    heartbeat.told = told
    heartbeat.start()
    yield heartbeat
    heartbeat.stop()


def document(db, process_id):
    return db.processes.find_one({"_id": process_id})


def test_it_raises_the_beat_and_tells_how_much_was_done(db, heartbeat, process_id):
    until(lambda: document(db, process_id)["beat"] > 3, "it beats")
    until(lambda: document(db, process_id)["finished_last_minute"] == 7, "it tells how much was done")
    assert document(db, process_id)["last_jobs"] == ["j1"]
    assert 2**20 < document(db, process_id)["memory_bytes"] < 2**34
    assert not heartbeat.lost


def test_a_process_that_was_declared_dead_is_told_and_beats_no_more(db, heartbeat, process_id):
    until(lambda: lease.declare_dead(db, process_id, document(db, process_id)["beat"]), "it is declared dead")
    assert heartbeat.told.wait(LONG_S)
    assert heartbeat.lost
    assert document(db, process_id)["dead"]


def test_it_is_fresh_while_it_beats_and_no_longer_once_it_was_declared_dead_or_stopped(
    db, heartbeat, process_id
):
    until(lambda: heartbeat.fresh, "it is fresh after its first beat")
    until(lambda: lease.declare_dead(db, process_id, document(db, process_id)["beat"]), "it is declared dead")
    assert heartbeat.told.wait(LONG_S)
    assert not heartbeat.fresh


def test_it_is_fresh_for_half_a_lease_after_a_renewal_by_either_clock(db, settings, process_id, monkeypatch):
    clocks = [1000.0, 5000.0]
    monkeypatch.setattr("workers.heartbeat._clocks", lambda: tuple(clocks))
    one = Heartbeat(settings, process_id, on_lost=lambda: None, done=lambda: (0, []))
    assert not one.fresh, "it has no lease yet, as far as it knows"
    assert one._renew(db)
    half = settings.lease_s / 2
    for passed in ((0.0, 0.0), (half - 0.1, half - 0.1)):
        clocks[:] = [1000.0 + passed[0], 5000.0 + passed[1]]
        assert one.fresh
    for passed in ((half, 0.0), (0.0, half), (0.0, -half)):
        clocks[:] = [1000.0 + passed[0], 5000.0 + passed[1]]
        assert not one.fresh
    assert one._renew(db)
    assert one.fresh
    one.stop()
    assert not one.fresh


def test_it_is_not_fresh_any_more_when_it_gives_its_lease_up(db, settings, process_id, monkeypatch):
    one, seen = Heartbeat(settings, process_id, on_lost=lambda: None, done=lambda: (0, [])), []
    monkeypatch.setattr("workers.heartbeat.suspect.condemn", lambda *_: None)
    monkeypatch.setattr("workers.heartbeat.lease.retire", lambda *_: seen.append(one.fresh))
    monkeypatch.setattr("workers.heartbeat.os._exit", lambda code: seen.append(code))
    one._renew(db)
    assert one.fresh
    one._give_up(db)
    assert seen == [False, CRASHED]


def test_whatever_goes_wrong_while_it_gives_up_the_process_ends(db, settings, process_id, monkeypatch):
    def fails(*_):
        raise KeyError("no frame")

    one, exits = Heartbeat(settings, process_id, on_lost=lambda: None, done=lambda: (0, [])), []
    monkeypatch.setattr("workers.heartbeat.suspect.condemn", fails)
    monkeypatch.setattr("workers.heartbeat.os._exit", exits.append)
    monkeypatch.setattr(one, "_renew_until_stopped", lambda: one._give_up(db))
    one._beat()
    assert exits == [CRASHED]


def test_a_renewal_that_failed_does_not_make_it_fresh(db, settings, process_id):
    one = Heartbeat(settings, process_id, on_lost=lambda: None, done=lambda: (0, []))
    lease.retire(db, process_id)
    assert not one._renew(db)
    assert not one.fresh


def test_a_process_that_was_forgotten_is_told_too(db, heartbeat, process_id):
    db.processes.delete_one({"_id": process_id})
    assert heartbeat.told.wait(LONG_S)


STUCK = """
import sys
from gevent import monkey
monkey.patch_all()
import workers.heartbeat as heartbeat
from core.config import Settings
heartbeat.LOOP_STUCK_S = 0.5
heartbeat.Heartbeat(Settings(), sys.argv[1], on_lost=print, done=lambda: (0, [])).start()
import time
time.sleep(0.2)
print("computing", flush=True)
while True:
    pass
"""
OVER_A_JOB = """
import sys
from gevent import monkey
monkey.patch_all()
import gevent.event
import workers.heartbeat as heartbeat
from core import services
from core.config import Settings
from core.jobs.run import Runner
from workers.greenlets import GreenletWork

def hang(run):
    run.calls.append(CALL)
    if run.job["request"]["messages"][0]["content"] == "wait":
        waiting.set()
        gevent.sleep(60)
    waiting.wait()
    heartbeat.Heartbeat(settings, sys.argv[1], on_lost=print, done=lambda: (0, [])).start()
    while True:
        pass

CALL = {"n": 0, "outcome": "in_flight", "detail": None}
waiting = gevent.event.Event()
heartbeat.LOOP_STUCK_S = 0.5
settings = Settings()
made = services.build(settings, send=print, patience_s=2, redis_client=services.connect_redis(settings))
runner = Runner(made, sys.argv[1], {"chat": hang}, start=GreenletWork, lost=lambda: False)
gevent.joinall([gevent.spawn(runner.run, job_id) for job_id in sys.stdin.readline().split()])
"""
AWAY = """
import sys, time
import workers.heartbeat as heartbeat
from core.config import Settings
heartbeat.RETRY_S = 0.1
one = heartbeat.Heartbeat(Settings(), sys.argv[1], on_lost=print, done=lambda: (0, []))
one.start()
for line in sys.stdin:
    print(one.lost, flush=True)
"""


@pytest.fixture
def start(db, settings, process_id):
    """A process with a heartbeat of its own, running this program."""
    started = []

    def start(program, uri=settings.mongodb_uri):
        environment = {
            "PATH": os.environ["PATH"],
            "MONGODB_URI": uri,
            "MONGODB_DATABASE": db.name,
            "REDIS_URL": settings.redis_url,
            "BEAT_S": "0.05",
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        command = [sys.executable, "-c", program, process_id]
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_process_whose_loop_stands_still_ends_itself(db, start, process_id):
    process = start(STUCK)
    assert process.wait(LONG_S) == CRASHED


def test_the_job_that_the_loop_stands_still_over_ends_and_the_others_are_taken_up(db, start, process_id):
    texts = ("wait", "compute")
    jobs = [queued(db, request={"messages": [{"role": "user", "content": text}]}) for text in texts]
    process = start(OVER_A_JOB)
    process.stdin.write(" ".join(job["_id"] for job in jobs) + "\n")
    process.stdin.flush()
    assert process.wait(LONG_S) == CRASHED
    Reconciler(db, Sent(), ended=lambda _: None, lease_s=60).tick()
    other, suspect = (db.jobs.find_one({"_id": job["_id"]}) for job in jobs)
    assert (other["status"], suspect["status"]) == ("queued", "failed")
    assert len(other["lost"]) == 1
    assert suspect["error"]["code"] == "worker_stuck"
    assert [(call["outcome"], call["attempt"]) for call in suspect["calls"]] == [("cancelled", 1)]


def test_a_store_that_is_away_is_waited_for(start):
    process = start(AWAY, uri="mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100")
    for _ in range(3):
        process.stdin.write("are you lost?\n")
        process.stdin.flush()
        while (said := process.stdout.readline().strip()) not in ("True", "False"):
            assert said  # a line of the log
        assert said == "False"
    assert process.poll() is None


def test_a_renewal_that_took_a_lease_makes_nothing_fresh(db, settings, process_id, monkeypatch):
    """It holds from the moment at which it was asked for: the store may have written it then."""
    now = [1000.0]
    monkeypatch.setattr(workers.heartbeat, "_clocks", lambda: (now[0], now[0]))
    renew = lease.renew

    def slowly(*asked, **more):
        renewed = renew(*asked, **more)
        now[0] += settings.lease_s
        return renewed

    monkeypatch.setattr(lease, "renew", slowly)
    heartbeat = Heartbeat(settings, process_id, on_lost=lambda: None, done=lambda: (0, []))
    assert heartbeat._renew(db)
    assert not heartbeat.fresh


def test_a_loop_that_is_found_late_once_is_not_given_up(settings, process_id):
    """So it is after the whole process was stopped for a while."""
    heartbeat = Heartbeat(settings, process_id, on_lost=lambda: None, done=lambda: (0, []))
    heartbeat._loop_seen -= LOOP_STUCK_S + 1
    assert not heartbeat._stands_still()
    assert heartbeat._stands_still()
    heartbeat._loop_seen += 1.5  # it turned, and is late again
    heartbeat._loop_seen -= 1
    assert not heartbeat._stands_still()
