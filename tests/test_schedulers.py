"""Two schedulers as processes, one of them killed again and again: each slot happens once, none is missed."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta

import pytest

from tests.stack import ROOT
from tests.waiting import until

EVERY = timedelta(seconds=1)
KILLS = 6


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


def more(db, n):
    """So many more slots are done."""
    before = db.effects.count_documents({})
    until(lambda: db.effects.count_documents({}) >= before + n, "it goes on")


def test_each_slot_happens_once_and_none_is_missed(db, scheduler):
    running = [scheduler(), scheduler()]
    more(db, 1)
    for n in range(KILLS):
        running[n % 2].kill()
        running[n % 2].wait()
        if n == KILLS // 2:
            running[1 - n % 2].kill()  # nobody is left for some slots
            running[1 - n % 2].wait()
            time.sleep(3)
            running[1 - n % 2] = scheduler()
        running[n % 2] = scheduler()
        more(db, 1)
    more(db, 2)
    for process in running:
        process.kill()
        process.wait()

    done = sorted(effect["_id"] for effect in db.effects.find())
    assert done == [done[0] + EVERY * n for n in range(len(done))]
    # The last one may have been under way, or not noted yet, when all were killed.
    assert db.ticks.find_one({"_id": "tick"})["done_through"] in done[-2:]
    begun = [(one["slot"], one["by"]) for one in db.begun.find()]
    assert len(begun) == len(set(begun))  # only another begins what was begun in vain
    assert len({effect["by"] for effect in db.effects.find()}) > 1
