"""Work beside a request."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from core.errors import StorageFull
from web.beside import in_a_greenlet


def test_it_goes_on_beside_whoever_began_it():
    begun, go_on = Event(), Event()

    def work():
        begun.set()
        go_on.wait()
        return "done"

    wait = in_a_greenlet(work)
    assert begun.wait(10)
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
