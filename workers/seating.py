"""Seating: this process offers its free slots, and takes the jobs that are born in them.

What it may not have (a neighbour's share, a bound, a queue that was paused meanwhile) goes to its lane. What
it did not hear of it finds in the documents, at the second beat.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

import redis
import structlog
from pymongo.errors import PyMongoError

from core.config import Settings
from core.jobs import signals
from core.jobs.accept import enqueue
from core.jobs.claim import hand_back, let_go
from core.jobs.document import Job, jobs_of
from core.jobs.lanes import ticket
from core.jobs.model import RUNNING
from core.jobs.run import Runner
from core.jobs.seats import Seats
from core.services import connect_redis
from workers.broker import LaneBroker

OFFERED = 64
"""Seats that one process offers: as many jobs as may be born here between two offers."""
REMEMBERED = 10_000
LISTEN_S = 0.5
CLOSING_S = 5.0

log = structlog.get_logger(__name__)


class Seating:
    """The seats of this process on one queue."""

    def __init__(
        self,
        settings: Settings,
        runner: Runner,
        broker: LaneBroker,
        queue: str,
    ) -> None:
        self.settings = settings
        self.runner = runner
        self.broker = broker
        self.queue = queue
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._told_to_close = False
        self._left = 0
        self._taking = threading.Lock()
        self._heard: dict[str, None] = {}
        self._unheard: frozenset[str] = frozenset()

    def start(self) -> None:
        """Listen until closed, in a thread; a greenlet where the process is patched."""
        self._thread.start()

    def close(self) -> None:
        """Take no more. When this returns, whoever tells of a job is told that nobody listens."""
        self._told_to_close = True
        if self._thread.is_alive():
            self._thread.join(CLOSING_S)

    def missed(self, running: Collection[str]) -> None:
        """Take those of this process's running jobs, at the second look, that it does not know of."""
        unheard = frozenset(one for one in running if not self._knows(one))
        twice, self._unheard = unheard & self._unheard, unheard
        for job_id in twice:
            job = jobs_of(self.runner.services.db).find_one({"_id": job_id})
            if job is not None and self._is_seated(job):
                log.warning("seat.not_heard", job_id=job_id)
                self._take(job)

    def _knows(self, job_id: str) -> bool:
        return self.broker.shares.holds(job_id) or job_id in self._heard

    def _is_seated(self, job: Job) -> bool:
        mine = job["status"] == RUNNING and job["owner"] == self.runner.process_id
        return mine and job["started_at"] == job["created_at"]  # which no claim makes so

    def _listen(self) -> None:
        seats = Seats(connect_redis(self.settings))
        while not self._told_to_close:
            try:
                with seats.client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    pubsub.subscribe(signals.seat_channel(self.runner.process_id))
                    self._hear(seats, pubsub)
                    seats.withdraw(self.queue, self.runner.process_id)
                    pubsub.unsubscribe()
                    while pubsub.subscribed:  # what was said before Redis heard of it
                        self._next(pubsub)
            except redis.RedisError as error:
                log.warning("seats.redis_away", error=type(error).__name__)
                time.sleep(1)
            except Exception:  # whatever it was: what is born here would begin two beats late
                log.exception("seats.failed")
                time.sleep(1)

    def _hear(self, seats: Seats, pubsub: redis.client.PubSub) -> None:
        offered = 0.0
        while not self._told_to_close:
            renewed = time.monotonic() - offered < self.settings.beat_s
            if self._left <= OFFERED // 2 or self._closed or not renewed:
                self._left = 0 if self._closed else min(OFFERED, self.broker.shares.free)
                seats.offer(self.queue, self.runner.process_id, self._left)
                offered = time.monotonic()
            self._next(pubsub)

    def _next(self, pubsub: redis.client.PubSub) -> None:
        message = pubsub.get_message(timeout=LISTEN_S)
        if message is not None:
            self._left -= 1
            self._take(signals.opened(message["data"]))

    @property
    def _closed(self) -> bool:
        return self._told_to_close or self.runner.draining or self.queue in self.broker.paused

    def _take(self, job: Job) -> None:
        with self._taking:  # told late, it may have been found already
            if self._knows(job["_id"]):
                return
            self._heard[job["_id"]] = None
            while len(self._heard) > REMEMBERED:
                del self._heard[next(iter(self._heard))]
        if self._may_have(job):
            threading.Thread(target=self._carry_out, args=(job,), daemon=True).start()
        else:
            self._refuse(job)

    def _may_have(self, job: Job) -> bool:
        """May it, and is there a slot? Then it has it."""
        shares, wanted = self.broker.shares, ticket(job)
        if self._closed or not shares.fair(wanted.workspace_id):
            return False
        return self.broker.bounds.full(wanted, shares.of_scope) is None and shares.took(wanted)

    def _carry_out(self, job: Job) -> None:
        try:
            self.broker.shares.begun(job["_id"])
            if self.runner.above_bound(job):
                self._refuse(job)
            else:
                self.runner.carry_out(job)
        except PyMongoError as error:  # this process ends, and the job is taken up
            log.warning("seat.not_begun", job_id=job["_id"], error=type(error).__name__)
        finally:
            self.broker.lane_consumers[self.queue].over(job["_id"])

    def _refuse(self, job: Job) -> None:
        services = self.runner.services
        try:
            queued = let_go(services.db, job, never_begun=True)
            if queued is not None:
                enqueue(services.send, queued)
            else:
                hand_back(services.db, job, [])
        except PyMongoError as error:  # it stays this process's; the documents tell of it
            log.warning("seat.not_left", job_id=job["_id"], error=type(error).__name__)
            self._heard.pop(job["_id"], None)
