"""The broker: Dramatiq's interface to the lanes of `core.jobs.lanes`."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import Any

import dramatiq
import redis
from dramatiq import Broker, Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed
from pymongo.database import Database

from core.jobs.bounds import Bounds
from core.jobs.lanes import Lanes, Ticket
from core.services import Send
from workers.shares import Shares

ACTOR = "run"
WAIT_S = 2.0
PAUSED_S = 0.1
UNPARKED_AT_ONCE = 100


class LaneBroker(Broker):
    """Takes one job for each slot that is free, of the workspace whose turn it is.

    There is no delay queue, and nothing is acknowledged in Redis: the job's document says what became of it.
    """

    def __init__(self, client: redis.Redis, slots: int) -> None:
        super().__init__(middleware=[])  # retries and time limits are the job's
        self.lanes = Lanes(client)
        self.shares = Shares(slots)
        self.bounds = Bounds()
        self.queues: dict[str, None] = {}
        self.lane_consumers: dict[str, LaneConsumer] = {}
        self.paused: frozenset[str] = frozenset()
        """Queues whose consumers take nothing. (Dramatiq's own pause waits until a queue is empty.)"""

    def read_bounds(self, db: Database[dict[str, Any]]) -> None:
        """Read how many may run of whom. Those that may have more than before wait no longer."""
        for name in self.bounds.read(db):
            for queue in self.queues:
                while self.lanes.unpark(queue, name, UNPARKED_AT_ONCE):
                    pass

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> LaneConsumer:
        consumer = self.lane_consumers[queue_name] = LaneConsumer(self, queue_name)
        return consumer


class LaneConsumer(Consumer):
    """Waits in a blocking command while nothing is there for it, and for a slot while none is free."""

    def __init__(self, broker: LaneBroker, queue: str) -> None:
        self.broker = broker
        self.queue = queue
        self._taken: deque[Ticket] = deque()
        self._kept_back = False
        self._closing = threading.Event()

    def __next__(self) -> MessageProxy | None:
        """The next job's message. None: nothing yet."""
        if self._taken:  # they have their slots, whatever has become of the queue
            return _message(self._taken.popleft())
        if self.queue in self.broker.paused:
            self._closing.wait(PAUSED_S)
            return None
        room = self.broker.shares.room(WAIT_S)
        if not room:
            return None
        try:
            self._take(room)
            if not self._taken:
                self.broker.lanes.wait(self.queue, WAIT_S)
        except redis.RedisError as error:
            if not self._taken:  # whoever closes this consumer forgets what it has
                raise ConnectionClosed(error) from None
        return _message(self._taken.popleft()) if self._taken else None

    def _take(self, room: int) -> None:
        """Take as many as may begin, each for a slot of its own."""
        shares = self.broker.shares
        self._kept_back = True  # before it looks: a slot that becomes free meanwhile must not be missed
        found = self.broker.lanes.take(
            self.queue, shares.by_workspace, shares.free, room, background=shares.background
        )
        self._kept_back = found == "not yours"
        for ticket in () if isinstance(found, str) else found:
            if not self._put_aside(ticket) and shares.took(ticket):
                self._taken.append(ticket)

    def _put_aside(self, ticket: Ticket) -> bool:
        """Is it above its `max_running`? Then it waits until another of its scope is over."""
        shares, bounds, lanes = self.broker.shares, self.broker.bounds, self.broker.lanes
        name = bounds.full(ticket, shares.of_scope)
        if name is None:
            return False
        lanes.park(ticket, name)
        if bounds.full(ticket, shares.of_scope) is None:  # the other one was over meanwhile, and found nobody
            lanes.unpark(self.queue, name)
        return True

    def ack(self, message: MessageProxy) -> None:
        self.over(message.args[0])

    def over(self, job_id: str) -> None:
        """Its slot is free, for whoever waits."""
        ticket = self.broker.shares.over(job_id)
        with contextlib.suppress(redis.RedisError):  # the next look, or reconcile, is soon enough
            for name, _ in self.broker.bounds.of(ticket) if ticket else ():
                self.broker.lanes.unpark(self.queue, name)
            if self._kept_back:
                self._kept_back = False
                self.broker.lanes.ring(self.queue)

    def nack(self, message: MessageProxy) -> None:
        self.ack(message)

    def close(self) -> None:
        self._closing.set()


def _message(ticket: Ticket) -> MessageProxy:
    return MessageProxy(
        dramatiq.Message(
            queue_name=ticket.queue, actor_name=ACTOR, args=(ticket.job_id,), kwargs={}, options={}
        )
    )


def make_broker(client: redis.Redis, slots: int = 1) -> LaneBroker:
    """A broker that carries out so many jobs at a time."""
    return LaneBroker(client, slots)


def sender(broker: LaneBroker) -> Send:
    """A function that puts jobs into their lanes."""
    return broker.lanes.send
