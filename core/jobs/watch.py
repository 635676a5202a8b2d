"""Watching jobs: one Redis connection wakes all the watchers of a process; the document tells the truth."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import Any

import redis
import structlog
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from core.errors import NotFound, Unavailable
from core.jobs.model import DONE
from core.jobs.signals import CHANGED

Document = dict[str, Any]

REREAD_S = 5.0

log = structlog.get_logger(__name__)


class Watcher:
    """Wakes waiting threads (or greenlets) when a job changes. `client` is used for listening alone."""

    def __init__(self, db: Database[Document], client: redis.Redis) -> None:
        self.db = db
        self.client = client
        self._waiting: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and let nobody wait any longer."""
        self._closed.set()
        self._wake_all()
        self._thread.join(timeout=5)

    def wait(self, job_id: str, timeout_s: float) -> Document:
        """The job as soon as it is done, or as it is after `timeout_s`.

        An outage of the store is waited out. Raises `NotFound`, or `Unavailable` when the store did not
        answer once.
        """
        deadline = time.monotonic() + timeout_s
        event = threading.Event()
        self._waiting[job_id].add(event)
        job: Document | None = None
        try:
            while True:
                event.clear()
                try:
                    job = self.db.jobs.find_one({"_id": job_id})
                    if job is None:
                        raise NotFound(f"no job {job_id}")
                except AutoReconnect as error:
                    log.warning("watch.store_away", job_id=job_id, error=type(error).__name__)
                left = deadline - time.monotonic()
                if (job and job["status"] in DONE) or left <= 0 or self._closed.is_set():
                    break
                event.wait(min(REREAD_S, left))
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
        if job is None:
            raise Unavailable("the job was accepted, but the store does not answer now")
        return job

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with self.client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                    pubsub.subscribe(CHANGED)
                    self._wake_all()  # whatever was signalled while nobody listened
                    while not self._closed.is_set():
                        message = pubsub.get_message(timeout=1.0)
                        if message is not None:
                            self._wake(message["data"].decode())
            except redis.RedisError as error:
                log.warning("watch.redis_away", error=type(error).__name__)
                self._closed.wait(1.0)

    def _wake(self, job_id: str) -> None:
        for event in list(self._waiting.get(job_id, ())):
            event.set()

    def _wake_all(self) -> None:
        for job_id in list(self._waiting):
            self._wake(job_id)
