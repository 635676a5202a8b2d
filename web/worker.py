"""gunicorn's gevent worker: idle connections keep nobody out, nor up at its end (30 s after a Ctrl-C)."""

from __future__ import annotations

import signal
from typing import Any, cast

import gevent
from gevent import Greenlet
from gunicorn.workers.ggevent import GeventWorker

from web.connection import Connection
from web.turns import others_first

LAST_S = 0.5
IDLE_SHARE = 2
"""Of its connections, one in so many may wait for a request; the rest are for those that ask something."""


class Worker(GeventWorker):
    """Hangs up on clients that keep a connection and ask nothing: on those that have waited longest when
    there are too many, on all at its end. The stock one takes no new client then, and waits for the old ones.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.idle: dict[Waiting, None] = {}
        """In the order in which they began to wait."""

    def init_process(self) -> None:
        """Until its application stands it ends at once: it may be waiting for a store that never comes."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        signal.signal(signal.SIGTERM, self.handle_exit)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        super().handle(listener, Connection(fileno=client.detach()), addr)

    def timeout_ctx(self) -> Waiting:  # type: ignore[override] # its stubs say that it returns nothing
        """How long a connection may wait for its next request, whose headers are whole by then.

        Others get their turn first: of requests that were sent together, none waits to be read.
        """
        others_first()
        if len(self.idle) >= self.worker_connections // IDLE_SHARE:
            next(iter(self.idle)).end()
        return Waiting(self.idle, self.cfg.keepalive if self.alive else LAST_S)

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn(self._hang_up)

    def _hang_up(self) -> None:
        for waiting in list(self.idle):
            waiting.end()


class Waiting(gevent.Timeout):
    """A connection's wait for its next request; over without a word when its time, or the worker's, is."""

    def __init__(self, idle: dict[Waiting, None], seconds: float) -> None:
        super().__init__(seconds, False)  # type: ignore[arg-type] # False: over without an exception
        self.idle = idle
        self.greenlet = cast("Greenlet[..., Any]", gevent.getcurrent())

    def __enter__(self) -> Waiting:
        self.idle[self] = None
        return super().__enter__()

    def __exit__(self, *raised: Any) -> Any:
        self.idle.pop(self, None)
        return super().__exit__(*raised)

    def end(self) -> None:
        """End it now."""
        self.idle.pop(self, None)
        self.greenlet.kill(self, block=False)
