"""Seats: free slots that worker processes offer, so that a new job can be born in one of them.

Such a job needs no way through a lane and no claim, a third of what a chat costs the store. Nothing depends
on it: while others wait nobody is seated; a job whose process is gone goes to its lane at once; one that its
process did not hear of is found by it within two beats; one whose process dies is taken up as any other.
"""

from __future__ import annotations

import contextlib

import redis
import structlog

from core.jobs import signals
from core.jobs.document import Job
from core.jobs.lanes import ring_of
from core.jobs.model import INTERACTIVE
from core.store import free_json

PREFIX = "vutler:seats"
KEPT_S = 60
"""Offers that nobody renews are forgotten: their processes are gone."""
MOST_BYTES = 256 * 1024
"""A larger job takes its lane. Redis gives up a listener that leaves 32 MB unread."""

TAKE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return false end
local offers, chosen, most = redis.call('HGETALL', KEYS[1]), false, 0
for i = 1, #offers, 2 do
  if tonumber(offers[i + 1]) > most then chosen, most = offers[i], tonumber(offers[i + 1]) end
end
if chosen then redis.call('HINCRBY', KEYS[1], chosen, -1) end
return chosen
"""
"""KEYS: offers, the ring of those who wait. Returns the process with the most free seats."""

log = structlog.get_logger(__name__)


class Seats:
    """The seats of all processes. Taking one never raises: without Redis there is none."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._take = client.register_script(TAKE)

    def take(self, job: Job) -> str | None:
        """The process in which this job may be born; None: it takes its lane."""
        if job.get("priority", INTERACTIVE) != INTERACTIVE:
            return None
        try:
            found = self._take([_offers(job["queue"]), ring_of(job["queue"], INTERACTIVE)])
        except redis.RedisError as error:
            log.warning("seat.not_asked", error=type(error).__name__)
            return None
        return found.decode() if found else None

    def leave(self, job: Job) -> None:
        """Its seat, if it has one, is free again: it was not stored."""
        if job["owner"] is None:
            return
        try:
            self.client.hincrby(_offers(job["queue"]), job["owner"], 1)
        except redis.RedisError as error:
            log.warning("seat.not_left", job_id=job["_id"], error=type(error).__name__)

    def tell(self, job: Job, told: bytes) -> bool:
        """Tell the process of its new job. False: it does not listen.

        An answer that was lost says nothing: the process may be at it, and finds the job otherwise.
        """
        process_id = job["owner"] or ""
        try:
            heard = bool(self.client.publish(signals.seat_channel(process_id), told))
        except redis.RedisError as error:
            log.warning("seat.not_told", job_id=job["_id"], error=type(error).__name__)
            return True
        if not heard:
            with contextlib.suppress(redis.RedisError):  # its offers are forgotten in a minute
                self.withdraw(job["queue"], process_id)
        return heard

    def offer(self, queue: str, process_id: str, seats: int) -> None:
        """So many seats are free in this process. Raises `redis.RedisError`."""
        offered = self.client.pipeline(transaction=True)
        offered.hset(_offers(queue), process_id, str(seats))
        offered.expire(_offers(queue), KEPT_S)
        offered.execute()

    def withdraw(self, queue: str, process_id: str) -> None:
        """It has none any more. Raises `redis.RedisError`."""
        self.client.hdel(_offers(queue), process_id)


def message(job: Job) -> bytes | None:
    """What its process is told of a job. None: it is too large for that."""
    told = free_json.packed(job)
    return told if len(told) <= MOST_BYTES else None


def _offers(queue: str) -> str:
    return f"{PREFIX}:{queue}"
