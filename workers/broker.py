"""The broker: Dramatiq's Redis broker, whose consumers wait for messages instead of sleeping."""

from __future__ import annotations

import threading
from typing import Any, cast

import dramatiq
import redis
from dramatiq import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed

from core.services import Send

ACTOR = "run"
WAIT_S = 2.0
PAUSED_S = 0.1


class WakefulBroker(RedisBroker):
    """Its consumers learn of a message within milliseconds.

    The stock consumer polls with a growing back-off: 126 ms at the median from send to actor, 540 at most
    (Dramatiq 2.2.1, one idle worker).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.paused: frozenset[str] = frozenset()
        """Queues whose consumers take nothing. (Dramatiq's own pause waits until a queue is empty.)"""

    @property
    def consumer_class(self) -> type[WakefulConsumer]:
        return WakefulConsumer

    def queue_length(self, queue: str) -> int:
        """Messages that wait in Redis for a consumer."""
        return int(self.client.llen(f"{self.namespace}:{queue}"))


class WakefulConsumer(_RedisConsumer):
    """Waits in a blocking command while the queue is empty, and for a free slot while none is free."""

    def __init__(self, broker: RedisBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)
        self._list = f"{broker.namespace}:{queue_name}"
        self._slot_freed = threading.Event()

    def __next__(self) -> MessageProxy | None:
        try:
            self._slot_freed.clear()
            if not self.message_cache and not self._paused():
                if self.outstanding_message_count >= self.prefetch:
                    self._slot_freed.wait(WAIT_S)
                else:
                    # Moving the head of a list onto itself changes nothing, and blocks while there is none.
                    self.broker.client.blmove(self._list, self._list, WAIT_S, "LEFT", "LEFT")
            self.misses = 0
            if self._paused():
                self._slot_freed.wait(PAUSED_S)
                return None
            return cast("MessageProxy | None", super().__next__())
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None

    def _paused(self) -> bool:
        return self.queue_name in self.broker.paused

    def ack(self, message: MessageProxy) -> None:
        try:
            super().ack(message)
        finally:
            self._slot_freed.set()

    def nack(self, message: MessageProxy) -> None:
        try:
            super().nack(message)
        finally:
            self._slot_freed.set()


def make_broker(client: redis.Redis) -> WakefulBroker:
    """A broker without middleware: retries and time limits are the job's, the broker only carries ids."""
    return WakefulBroker(client=client, middleware=[])


def sender(broker: WakefulBroker) -> Send:
    """A function that puts job ids on queues. Where it is used, no actor needs to be declared."""

    def send(queue: str, job_id: str) -> None:
        broker.enqueue(
            dramatiq.Message(queue_name=queue, actor_name=ACTOR, args=(job_id,), kwargs={}, options={})
        )

    return send
