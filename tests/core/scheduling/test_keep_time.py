"""A clock that is set back: what waits for a time to come is done at once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from core.clock import utcnow
from scheduler import keep_time

LATER = timedelta(days=2)


@pytest.fixture
def waiting():
    """A scheduler whose tick waits for a time in two days; `ran` is set when it runs."""
    scheduler, ran = BackgroundScheduler(timezone="UTC"), threading.Event()
    scheduler.add_job(ran.set, "interval", days=2, next_run_time=utcnow() + LATER)
    scheduler.start()
    yield scheduler, ran
    scheduler.shutdown()


def test_ticks_run_again_when_the_clock_is_set_back(waiting):
    scheduler, ran = waiting
    clock, stopping = iter([utcnow() + LATER]), threading.Event()

    def now():
        return next(clock, None) or utcnow()

    keeping = threading.Thread(
        target=keep_time, args=(scheduler, stopping), kwargs={"every_s": 0.01, "now": now}
    )
    keeping.start()
    assert ran.wait(60)
    stopping.set()
    keeping.join()


def test_a_clock_that_goes_on_changes_nothing(waiting):
    scheduler, ran = waiting
    looks, stopping = [], threading.Event()

    def now():
        looks.append(utcnow())
        if len(looks) == 20:
            stopping.set()
        return looks[-1]

    keep_time(scheduler, stopping, every_s=0.001, now=now)
    assert not ran.is_set()
