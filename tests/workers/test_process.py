"""A worker process in threads, for the kind of `tests/echo.py`: started, told to end, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from core.jobs import control, kinds, queues, signals
from core.jobs.reconcile import Reconciler
from core.services import connect_redis
from core.store import migrations
from tests import echo
from tests.factory import queued
from tests.stack import ROOT
from tests.waiting import LONG_S, subscribed, until
from workers.broker import make_broker, sender

HOUR = "3600"
ECHO = ("-m", "tests.echo")
SLOW_TO_BEGIN = """
import time
from tests import echo
from workers import main, process

consume = process._consume

def waits(broker, queues, slots, runner):
    while not runner.services.redis.exists("begin"):
        time.sleep(0.05)
    consume(broker, queues, slots, runner)

process._consume = waits
echo.add()
main.main(["echo"])
"""


class Host:
    """A worker of the role `echo` on a host of this name."""

    def __init__(self, db, settings, name, log, program, **environment):
        self.db, self.name = db, name
        settings = {
            "PATH": os.environ["PATH"],
            "MONGODB_URI": settings.mongodb_uri,
            "MONGODB_DATABASE": db.name,
            "REDIS_URL": settings.redis_url,
            "DATA_DIR": str(settings.data_dir),
            "WORKER_HOST": name,
            "BEAT_S": "0.5",
            **environment,
        }
        with log.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, *program], cwd=ROOT, env=settings, stdout=out, stderr=out
            )

    def beats(self, more=3):
        """Until its beat was raised so often; by then it has looked for what it was to be told."""
        before = self.document()["beat"]
        until(lambda: self.document()["beat"] >= before + more, "it beats")

    def document(self):
        return self.db.processes.find_one({"host": self.name, "dead": False, "pid": self.process.pid})


@pytest.fixture
def host(db, settings, tmp_path):
    migrations.prepare(db)
    hosts = []

    def start(name="h1", program=ECHO, **environment):
        hosts.append(Host(db, settings, name, tmp_path / "log", program, **environment))
        until(hosts[-1].document, "it has registered", said=(tmp_path / "log").read_text)
        return hosts[-1]

    yield start
    for one in hosts:
        one.process.kill()
        one.process.wait()


@pytest.fixture
def send(settings):
    client = connect_redis(settings)
    yield sender(make_broker(client))
    client.close()


@pytest.fixture
def say(db, send, monkeypatch, redis_client):
    """Makes a job for the host h1, and sends its id."""
    monkeypatch.setitem(kinds.KINDS, "echo", echo.ROW)

    def say(**request):
        return queued(db, send, kind="echo", request={"say": "hi", **request}, plan={}, host="h1")

    return say


def job(db, asked):
    return db.jobs.find_one({"_id": asked["_id"]})


def becomes(db, asked, status):
    return until(lambda: (found := job(db, asked))["status"] == status and found, f"it is {status}")


def test_it_carries_out_its_hosts_jobs_and_shows_itself(db, host, say):
    one = host()
    done = becomes(db, say(), "succeeded")
    assert done["result"] == {"said": "hi", "attempt": 1}
    shown = one.document()
    assert (shown["role"], shown["host"], shown["queues"]) == ("echo", "h1", ["echo.h1"])
    assert done["owner"] is None


def test_one_that_takes_long_to_begin_keeps_its_lease(db, host, say, redis_client):
    one, asked = host(program=("-c", SLOW_TO_BEGIN)), say()
    one.beats()
    assert job(db, asked)["attempt"] == 0
    redis_client.set("begin", "now")
    becomes(db, asked, "succeeded")


def test_a_running_job_is_cancelled_by_a_signal_alone(db, host, say, redis_client):
    one, asked = host(BEAT_S=HOUR), say(waits=True)
    subscribed(redis_client, signals.process_channel(one.document()["_id"]))
    control.cancel(db, redis_client, becomes(db, asked, "running"))
    assert becomes(db, asked, "cancelled")["result"] is None


def test_a_running_job_is_cancelled_when_the_signal_was_lost(db, host, say):
    host()
    asked = becomes(db, say(waits=True), "running")
    db.jobs.update_one({"_id": asked["_id"]}, {"$set": {"cancel_requested": True}})
    assert becomes(db, asked, "cancelled")["result"] is None


def test_a_queue_is_resumed_by_a_signal_alone(db, host, say, redis_client):
    waiting = say()
    queues.set_paused(db, redis_client, "echo.h1", True)
    host(BEAT_S=HOUR)
    subscribed(redis_client, signals.QUEUES_CHANGED)
    assert job(db, waiting)["attempt"] == 0
    queues.set_paused(db, redis_client, "echo.h1", False)
    becomes(db, waiting, "succeeded")


def test_a_queue_that_is_paused_is_not_taken_from_by_whoever_starts_or_runs(db, host, say, redis_client):
    waiting = say()
    queues.set_paused(db, redis_client, "echo.h1", True)
    one = host()
    one.beats()
    assert job(db, waiting)["attempt"] == 0
    queues.set_paused(db, redis_client, "echo.h1", False)
    becomes(db, waiting, "succeeded")
    queues.set_paused(db, redis_client, "echo.h1", True)
    one.beats()
    waiting = say()
    one.beats()
    assert job(db, waiting)["attempt"] == 0


def test_told_to_end_it_finishes_what_it_can(db, host, say, redis_client, tmp_path):
    one, asked = host(WORKER_GRACE_S="60"), say(waits=True)
    becomes(db, asked, "running")
    one.process.send_signal(signal.SIGTERM)
    until(lambda: "worker.stopping" in (tmp_path / "log").read_text(), "it has heard")
    echo.let_go(redis_client, asked["_id"])
    assert one.process.wait(LONG_S) == 0
    assert job(db, asked)["status"] == "succeeded"
    assert one.document() is None


def test_told_to_end_without_a_grace_it_hands_back(db, host, say, redis_client):
    one, asked = host(WORKER_GRACE_S="0"), say(waits=True)
    becomes(db, asked, "running")
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(LONG_S) == 0
    kept = job(db, asked)
    assert (kept["status"], kept["attempt"], len(kept["handed_back"])) == ("queued", 1, 1)
    host()
    echo.let_go(redis_client, asked["_id"])
    assert becomes(db, asked, "succeeded")["attempt"] == 2


def test_killed_its_job_is_taken_up_by_the_next_process_of_its_host(db, host, say, send, redis_client):
    one, asked = host(), say(waits=True)
    becomes(db, asked, "running")
    dead = {"_id": one.document()["_id"], "dead": True}
    one.process.kill()
    one.process.wait()
    echo.let_go(redis_client, asked["_id"])
    another, now = host(), [0.0]
    reconciler = Reconciler(db, send, ended=lambda _: None, lease_s=2, monotonic=lambda: now[0])
    while not db.processes.find_one(dead):
        another.beats(1)
        reconciler.tick()
        now[0] += 0.9
    done = becomes(db, asked, "succeeded")
    assert (done["result"]["attempt"], len(done["lost"])) == (2, 1)


def test_a_role_that_is_not_there_is_told_in_words():
    ended = subprocess.run(
        [sys.executable, "-m", "workers.main", "chats"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, "chat|isolation" in ended.stderr) == (2, True)
