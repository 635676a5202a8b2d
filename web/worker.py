"""gunicorn's gevent worker, which ends without waiting for nothing: 30 s after a Ctrl-C otherwise."""

from __future__ import annotations

import signal
from typing import Any, cast

import gevent
from gevent import Greenlet
from gunicorn.workers.ggevent import GeventWorker

LAST_S = 0.5


class Worker(GeventWorker):
    """Hangs up at its end on clients that keep a connection and ask nothing; the stock one waits for them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.idle: set[Waiting] = set()

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

    def timeout_ctx(self) -> Waiting:  # type: ignore[override] # its stubs say that it returns nothing
        """How long a connection may wait for its next request, whose headers are whole by then."""
        return Waiting(self.idle, self.cfg.keepalive if self.alive else LAST_S)

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn(self._hang_up)

    def _hang_up(self) -> None:
        for waiting in list(self.idle):
            waiting.end()


class Waiting(gevent.Timeout):
    """A connection's wait for its next request; over without a word when its time, or the worker's, is."""

    def __init__(self, idle: set[Waiting], seconds: float) -> None:
        super().__init__(seconds, False)  # type: ignore[arg-type] # False: over without an exception
        self.idle = idle
        self.greenlet = cast("Greenlet[..., Any]", gevent.getcurrent())

    def __enter__(self) -> Waiting:
        self.idle.add(self)
        return super().__enter__()

    def __exit__(self, *raised: Any) -> Any:
        self.idle.discard(self)
        return super().__exit__(*raised)

    def end(self) -> None:
        """End it now."""
        self.greenlet.kill(self, block=False)
