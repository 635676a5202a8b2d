"""Work in threads: it is waited for, and left alone when it does not end as it was asked to."""

from __future__ import annotations

import threading

import pytest

from core.jobs.run import Run
from tests.waiting import LONG_S
from workers import threads
from workers.threads import ThreadWork


@pytest.fixture
def work():
    """Work that goes on until `work.let_go` is set, whatever it is told."""
    let_go, ended = threading.Event(), threading.Event()

    def function():
        let_go.wait(LONG_S)
        ended.set()

    work = ThreadWork(function)
    work.let_go = let_go
    yield work
    let_go.set()
    assert ended.wait(LONG_S)


def test_it_has_ended_when_its_function_has(work):
    assert not work.join(0.1)
    work.let_go.set()
    assert work.join(LONG_S)


def test_what_does_not_end_as_it_was_asked_to_is_left_alone(work, monkeypatch):
    monkeypatch.setattr(threads, "ASKED_S", 0.2)
    work.kill()
    assert work.join(LONG_S)
    assert not work.let_go.is_set()


def test_a_handler_is_told_to_stop():
    run, told = Run(services=None, job={"_id": "j1"}), []
    run.work = ThreadWork(lambda: told.append(run.told_to_stop.wait(LONG_S)))
    run.stop("cancelled")
    assert run.work.join(LONG_S)
    assert told == [True]


def test_what_was_asked_to_end_is_given_time_for_it(work):
    work.kill()
    assert not work.join(0.2)
    work.let_go.set()
    assert work.join(LONG_S)
