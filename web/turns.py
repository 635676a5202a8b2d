"""Turns in the event loop: whoever is never made to wait lets others go on."""

from __future__ import annotations

import gevent

HIGHEST = 2
"""Of libev's priorities. At this one nothing else is waited for, so nobody who gives way is starved."""


def others_first() -> None:
    """Others go on, those too whose sockets have something by now; then this does, in each round of the loop.

    `sleep(0)` looks at no socket: of those who give way like that, gevent runs 50 more turns before it does
    (26.9). With turns of a millisecond each wait of a neighbour's chat took 50.
    """
    gevent.idle(priority=HIGHEST)
