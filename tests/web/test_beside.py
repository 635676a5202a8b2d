"""Work beside a request."""

from __future__ import annotations

import os
import sys

import gevent
import pytest
from gevent.event import Event
from gevent.threadpool import ThreadPool

from core.errors import StorageFull
from web.beside import NICE, giving_way, in_a_greenlet


def test_it_goes_on_beside_whoever_began_it():
    begun, go_on = Event(), Event()

    def work():
        begun.set()
        go_on.wait()
        return "done"

    wait = in_a_greenlet(work)
    assert begun.wait(60)
    go_on.set()
    assert wait() == "done"


def test_a_failure_is_raised_to_whoever_waits_and_printed_nowhere(capfd):
    def work():
        raise StorageFull

    wait = in_a_greenlet(work)
    gevent.idle()
    with pytest.raises(StorageFull):
        wait()
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="a priority is the whole process's")
def test_a_thread_that_gives_way_leaves_the_event_loop_as_it_was():
    def priority():
        return os.getpriority(os.PRIO_PROCESS, 0)

    before = priority()
    assert ThreadPool(1).apply(giving_way, (priority,)) == max(before, NICE)
    assert priority() == before
