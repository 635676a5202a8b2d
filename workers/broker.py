"""The broker: Dramatiq's interface to the lanes of `core.jobs.lanes`."""

from __future__ import annotations

import contextlib
import threading

import dramatiq
import redis
from dramatiq import Broker, Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed

from core.jobs.lanes import Lanes
from core.services import Send
from workers.shares import Shares

ACTOR = "run"
WAIT_S = 2.0
PAUSED_S = 0.1


class LaneBroker(Broker):
    """Takes one job for each slot that is free, of the workspace whose turn it is.

    There is no delay queue, and nothing is acknowledged in Redis: the job's document says what became of it.
    """

    def __init__(self, client: redis.Redis, slots: int) -> None:
        super().__init__(middleware=[])  # retries and time limits are the job's
        self.lanes = Lanes(client)
        self.shares = Shares(slots)
        self.queues: dict[str, None] = {}
        self.paused: frozenset[str] = frozenset()
        """Queues whose consumers take nothing. (Dramatiq's own pause waits until a queue is empty.)"""

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> LaneConsumer:
        return LaneConsumer(self, queue_name)


class LaneConsumer(Consumer):
    """Waits in a blocking command while nothing is there for it, and for a slot while none is free."""

    def __init__(self, broker: LaneBroker, queue: str) -> None:
        self.broker = broker
        self.queue = queue
        self._kept_back = False
        self._closing = threading.Event()

    def __next__(self) -> MessageProxy | None:
        """The next job's message. None: nothing yet."""
        if self.queue in self.broker.paused:
            self._closing.wait(PAUSED_S)
            return None
        if not self.broker.shares.room(WAIT_S):
            return None
        try:
            message = self._taken()
            if message is None:
                self.broker.lanes.wait(self.queue, WAIT_S)
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None
        return message

    def _taken(self) -> MessageProxy | None:
        shares = self.broker.shares
        self._kept_back = True  # before it looks: a slot that becomes free meanwhile must not be missed
        ticket = self.broker.lanes.take(
            self.queue, shares.by_workspace, shares.free, background=shares.background
        )
        self._kept_back = ticket == "not yours"
        if isinstance(ticket, str) or not shares.took(ticket):
            return None
        return MessageProxy(
            dramatiq.Message(
                queue_name=self.queue, actor_name=ACTOR, args=(ticket.job_id,), kwargs={}, options={}
            )
        )

    def ack(self, message: MessageProxy) -> None:
        self.broker.shares.over(message.args[0])
        if self._kept_back:
            self._kept_back = False
            self._ring()

    def nack(self, message: MessageProxy) -> None:
        self.ack(message)

    def _ring(self) -> None:
        """What was not this process's to take may be now. If Redis is away, the next look is soon enough."""
        with contextlib.suppress(redis.RedisError):
            self.broker.lanes.ring(self.queue)

    def close(self) -> None:
        self._closing.set()


def make_broker(client: redis.Redis, slots: int = 1) -> LaneBroker:
    """A broker that carries out so many jobs at a time."""
    return LaneBroker(client, slots)


def sender(broker: LaneBroker) -> Send:
    """A function that puts jobs into their lanes."""
    return broker.lanes.send
