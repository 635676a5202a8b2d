"""gunicorn's gevent worker: clients that it waits for keep nobody out, nor up at its end (30 s).

gunicorn imports it before gevent replaces what blocks. So it imports little, and the rest only when it works:
whatever was imported before and holds on to a socket or a lock of the system's would stop all that wait.
"""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any, cast

import gevent
from gunicorn.workers.ggevent import GeventWorker

from web.connection import Connection
from web.crowd import Crowd
from web.turns import others_first

if TYPE_CHECKING:
    from flask import Flask

LAST_S = 0.5


class Worker(GeventWorker):
    """Hangs up on clients that it waits for: on those that have kept it waiting longest when there are too
    many; on all that ask nothing, or follow events, at its end. The stock one takes no new client then, and
    waits for the old.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.crowd = Crowd(self.worker_connections)

    def init_process(self) -> None:
        """Until its application stands it ends at once: it may be waiting for a store that never comes."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        from web.context import PLACES

        cast("Flask", self.wsgi).extensions[PLACES].most = self.worker_connections
        signal.signal(signal.SIGTERM, self.handle_exit)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self.crowd.open += 1
        try:
            super().handle(listener, Connection(self.crowd, fileno=client.detach()), addr)
        finally:
            self.crowd.open -= 1

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        sock.asks = True
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.asks = False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        from web.unreadable import refuse

        with contextlib.suppress(OSError):  # the client has hung up
            refuse(client, exc)

    def timeout_ctx(self) -> gevent.Timeout:  # type: ignore[override] # its stubs say that it returns nothing
        """How long a connection may wait for its next request, whose headers are whole by then.

        Others get their turn first: of requests that were sent together, none waits to be read.
        """
        others_first()
        return gevent.Timeout(self.cfg.keepalive if self.alive else LAST_S, False)  # type: ignore[arg-type]

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn(self._hang_up)

    def _hang_up(self) -> None:
        from web.context import STREAMS

        cast("Flask", self.wsgi).extensions[STREAMS].hang_up()
        for waiting in [one for one in self.crowd.waiting if not one.connection.asks]:
            waiting.end()
