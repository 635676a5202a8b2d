"""Ticks that hang: no other waits for them, nobody takes the leadership away, and one can see them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from core.clock import utcnow
from core.scheduling import ticks
from tests.hanging import HANGING
from tests.stack import ROOT
from tests.waiting import LONG_S, until

LEASE_S = 3
"""It is renewed each half of a second."""


@pytest.fixture
def scheduler(db, settings, tmp_path):
    """Starts a process; all are ended with the test."""
    started = []

    def start():
        environment = {
            "PATH": os.environ["PATH"],
            "MONGODB_URI": settings.mongodb_uri,
            "MONGODB_DATABASE": db.name,
            "REDIS_URL": settings.redis_url,
            "LEASE_S": str(LEASE_S),
            "WORKER_GRACE_S": "1",
        }
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.hanging"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def leader(db):
    return db.scheduler.find_one({"_id": "leader"}) or {"holder": None, "beat": 0}


def hanging(db):
    return {tick["name"]: tick["running_since"] for tick in ticks.listed(db) if tick["running_since"]}


def all_hanging(db):
    """Since when, once all of them hang."""
    since = hanging(db)
    return since if set(since) == set(HANGING) else None


def test_ticks_that_hang_delay_no_other_and_are_seen(db, scheduler):
    process = scheduler()
    since = until(lambda: all_hanging(db), "they hang")
    first, counted = leader(db), db.effects.count_documents({"at": None})
    until(lambda: leader(db)["beat"] >= first["beat"] + 8, "it is renewed for a whole lease and more")
    assert leader(db)["holder"] == first["holder"] is not None
    until(lambda: db.effects.count_documents({"at": None}) >= counted + 3, "the others tick")
    until(lambda: db.effects.count_documents({"at": {"$ne": None}}) >= 3, "those with slots too")
    until(lambda: all_hanging(db) == since, "they alone hang, as they did")

    ticks.ask(db, "counts")
    until(lambda: db.ticks.count_documents({"asked": True}) == 0, "what was asked for is done")

    process.send_signal(signal.SIGTERM)
    assert process.wait(LONG_S) == 0
    assert leader(db)["holder"] is None


def test_whoever_takes_over_shows_its_own_ticks_alone(db, scheduler):
    db.ticks.insert_one({"_id": "counts", "every_s": 0.5, "running_since": utcnow()})
    first = scheduler()
    since = until(lambda: all_hanging(db), "they hang")
    second = scheduler()
    first.kill()
    until(lambda: min((all_hanging(db) or since).values()) > max(since.values()), "the second hangs in them")
    assert second.poll() is None
