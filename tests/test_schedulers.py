"""Two schedulers as processes, one of them killed again and again: each slot happens once, none is missed."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta

import pytest

from core.clock import utcnow
from tests.stack import ROOT
from tests.waiting import until

EVERY = timedelta(seconds=1)
KILLS = 6
DEATHS = KILLS + 3
"""One of them of both at the same time, and at the end of both again: each may leave a slot begun in vain."""


@pytest.fixture
def scheduler(db, settings, tmp_path):
    """Starts a process; all are ended with the test."""
    started = []

    def start():
        arguments = [settings.mongodb_address, db.name, str(EVERY.total_seconds()), "1.5"]
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.ticking", *arguments], cwd=ROOT, stdout=log, stderr=log
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def done_since(db, at):
    return db.effects.count_documents({"_id": {"$gt": at}})


def test_each_slot_happens_once_and_none_is_missed(db, scheduler):
    running = [scheduler(), scheduler()]
    until(lambda: db.effects.count_documents({}) >= 1, "a first slot is done")
    for n in range(KILLS):
        running[n % 2].kill()
        running[n % 2].wait()
        if n == KILLS // 2:
            running[1 - n % 2].kill()  # nobody is left for some slots
            running[1 - n % 2].wait()
            time.sleep(3)
            running[1 - n % 2] = scheduler()
        running[n % 2] = scheduler()
        now = utcnow()
        until(lambda now=now: done_since(db, now) >= 1, "it goes on")
    now = utcnow()
    until(lambda: done_since(db, now) >= 2, "two more slots are done")
    for process in running:
        process.kill()
        process.wait()

    done = sorted(effect["_id"] for effect in db.effects.find())
    assert done == [done[0] + EVERY * n for n in range(len(done))]
    # The last one may have been under way, or not noted yet, when all were killed.
    assert db.ticks.find_one({"_id": "tick"})["done_through"] in done[-2:]
    assert db.begun.count_documents({}) <= len(done) + DEATHS
    assert len({effect["by"] for effect in db.effects.find()}) > 1
