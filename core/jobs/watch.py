"""Watching jobs: one Redis connection wakes all watchers of a process; they then read the document."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import redis
import structlog
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from core.errors import NotFound, Unavailable
from core.jobs import events, signals
from core.jobs.document import Job, jobs_of
from core.jobs.model import DONE, RUNNING
from core.jobs.views import UNASKED, public
from core.loop import Loop
from core.store.remembered import Remembered

Document = dict[str, Any]

REREAD_S = 5.0
GONE_S = 1.0
AWAY_S = 1.0
OVER_S = 1.0
HEARTBEAT_S = 15.0
ANY = "*"
"""Stands for the id of a job where somebody waits for changes of any."""
TILL_THE_END = (signals.EVENTS, signals.BEGUN)
"""What those who wait for a job's end ignore."""
ENDS, ENDS_KEPT = ("", signals.ENDED), 4096
"""The ids of the ends heard last, for who begins to wait only then."""

log = structlog.get_logger(__name__)


class Event(NamedTuple):
    """One event of a job as clients see it. `id` is `<attempt>-<n>`; a client may resume after it.

    `job`: the document, with `done`.
    """

    kind: str
    data: Document
    id: str
    job: Job | None = None


def _id(position: tuple[int, int]) -> str:
    return f"{position[0]}-{position[1]}"


def _done(job: Job | None) -> bool:
    return job is not None and job["status"] in DONE


class Waiter:
    """One watcher's bell. `changed`: the document itself may have changed, not only the events.

    `ignores`: the marks of signals that do not wake it. `known`: the job, if it was made just now.
    """

    def __init__(self, *, ignores: Collection[str], known: Job | None) -> None:
        self.ignores = ignores
        self.job = known
        self.bell = threading.Event()
        self.changed = known is None
        self.read_at = float("-inf") if known is None else time.monotonic()

    def ring(self, mark: str = "", told: bytes = b"") -> None:
        """Wake the watcher. `mark` and `told`: those of the signal."""
        if mark in self.ignores:
            return
        if told:
            self.job = signals.opened(told)
        elif mark != signals.EVENTS:
            self.changed = True
        self.bell.set()

    def due(self) -> bool:
        """Is the document to be read now? It has changed, or a signal may have been lost."""
        now = time.monotonic()
        if not self.changed and now - self.read_at < REREAD_S:
            return False
        self.changed, self.read_at = False, now
        return True


class Watcher:
    """Wakes waiting threads (or greenlets) when a job changes.

    `listening` is a client used for the subscription alone; `client` reads the events. What is `remembered`
    is forgotten when the subscription tells that somebody configured something, or may have missed it.
    """

    def __init__(self, db: Database[Document], client: redis.Redis, listening: redis.Redis) -> None:
        self.db = db
        self.client = client
        self.listening = listening
        self.remembered = Remembered()
        self._subscribed = False
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._waiting: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._loop = Loop("watcher", self._listen, AWAY_S, away=(redis.RedisError,))
        self._closed = self._loop.closed

    def start(self) -> None:
        self._loop.start()

    def close(self) -> None:
        """Stop listening, and end all waiting."""
        self._closed.set()
        self._wake_all()
        signals.publish(self.client, signals.CHANGED, "")  # so that the listener wakes and ends
        self._loop.close()

    def wait(
        self,
        job_id: str,
        timeout_s: float,
        gone: Callable[[], bool] | None = None,
        *,
        known: Job | None = None,
    ) -> Job:
        """The job as soon as it is done; or as it is after `timeout_s`, or once nobody waits (`gone`).

        `known`: the job, if it was made just now: then it need not be read at once. An outage of the store is
        waited out. Raises `NotFound`, or `Unavailable` if the store never answered.
        """
        deadline = time.monotonic() + timeout_s
        with self._waiter(job_id, TILL_THE_END, known) as waiter:
            while True:
                waiter.bell.clear()
                left = deadline - time.monotonic()
                if waiter.due() or left <= 0:
                    self._read(waiter, job_id)
                job = waiter.job
                if _done(job) or left <= 0 or self._closed.is_set():
                    break
                if gone is not None and gone():
                    break
                waiter.bell.wait(min(REREAD_S if gone is None else GONE_S, left))
        if job is None:
            raise Unavailable("the store does not answer; the job, if it was accepted, is not lost")
        return job

    def follow(
        self,
        job_id: str,
        last_event_id: str | None = None,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        ignores: Collection[str] = (),
        known: Job | None = None,
        over: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event | None]:
        """A job's events from a position to its end; None when there was no event for `heartbeat_s`.

        `restart`: a new claim has begun; earlier deltas are void. `gap`: events were lost. `done` is the last
        event and carries the whole job; without it they end once `over()` says that this watcher may not go
        on. `ignores`: marks of signals that the caller need not hear of. `known`: the job, if it was just
        made. Raises `NotFound`.

        `status` is `running` before the first event of a claim, which may be here before the document is read
        again, and says it itself. A job that had ended is told without.
        """
        position = events.parse_position(last_event_id)
        status, seen, shown_at = "", 0, time.monotonic()
        with self._waiter(job_id, ignores, known) as waiter:
            while not self._closed.is_set() and not over():
                rung = waiter.bell.is_set()
                waiter.bell.clear()
                due = waiter.due()
                if due:
                    self._read(waiter, job_id)
                job, away = waiter.job, False
                if due or rung:
                    try:
                        for event in self._new_events(job_id, position):
                            before, seen = seen, event.data["attempt"]
                            if seen > before and status != RUNNING and (status or not _done(job)):
                                status = RUNNING
                                yield Event("status", {"status": status, "attempt": seen}, _id(position))
                            position = events.parse_position(event.id)
                            shown_at = time.monotonic()
                            yield event
                    except redis.RedisError as error:
                        away = True
                        log.warning("watch.events_away", job_id=job_id, error=type(error).__name__)
                if job and _done(job):
                    if away:
                        yield Event("gap", {"attempt": job["attempt"]}, _id(position))
                    yield Event("done", public(job), _id(position), job)
                    return
                if job and job["status"] != status and job["attempt"] >= seen:  # else it was read before
                    status, shown_at = job["status"], time.monotonic()
                    yield Event("status", {"status": status, "attempt": job["attempt"]}, _id(position))
                quiet = time.monotonic() - shown_at
                if quiet >= heartbeat_s:
                    quiet, shown_at = 0.0, time.monotonic()
                    yield None
                waiter.bell.wait(min(REREAD_S, OVER_S, heartbeat_s - quiet))

    def changes(
        self, over: Callable[[], bool], *, pause_s: float = 1.0, longest_s: float = 10.0
    ) -> Iterator[None]:
        """Whenever something has changed in some job: one for all that changes within `pause_s`.

        One comes after `longest_s` anyway: of a job that was only accepted nobody is told. They end once
        `over()` says that this watcher may not go on.
        """
        told_at = time.monotonic()
        with self._waiter(ANY, (signals.EVENTS,), None) as waiter:
            while not over():
                rung = waiter.bell.wait(min(OVER_S, longest_s))
                if self._closed.is_set():
                    return
                if rung or time.monotonic() - told_at >= longest_s:
                    waiter.bell.clear()
                    told_at = time.monotonic()
                    yield
                    self._closed.wait(pause_s)

    def _new_events(self, job_id: str, position: tuple[int, int]) -> Iterator[Event]:
        attempt, n = position
        while True:
            batch = list(events.read(self.client, job_id, (attempt, n)))
            for (its_attempt, its_n), kind, data in batch:
                if its_attempt != attempt:
                    if attempt:
                        yield Event("restart", {"attempt": its_attempt}, _id((attempt, n)))
                    n = 0
                if its_n != n + 1:
                    yield Event("gap", {"attempt": its_attempt}, _id((attempt, n)))
                attempt, n = its_attempt, its_n
                yield Event(kind, {**data, "attempt": attempt}, _id((attempt, n)))
            if len(batch) < events.BATCH:
                return

    def _read(self, waiter: Waiter, job_id: str) -> None:
        """Read the job, without what was asked; while the store is away it stays as it was read last."""
        try:
            job = jobs_of(self.db).find_one({"_id": job_id}, UNASKED)
        except AutoReconnect as error:
            log.warning("watch.store_away", job_id=job_id, error=type(error).__name__)
            return
        if job is None:
            raise NotFound(f"no job {job_id}")
        waiter.job = job

    @contextmanager
    def _waiter(self, job_id: str, ignores: Collection[str], known: Job | None) -> Iterator[Waiter]:
        waiter = Waiter(ignores=ignores, known=known)
        self._waiting[job_id].add(waiter)
        if not self._subscribed or job_id in self._ended:
            waiter.changed = True  # it was made just now, but its end may have been told already
        try:
            yield waiter
        finally:
            self._waiting[job_id].discard(waiter)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def _listen(self) -> None:
        try:
            with self.listening.pubsub(ignore_subscribe_messages=True) as pubsub:
                pubsub.subscribe(signals.CHANGED, signals.CONFIGURED)
                self._subscribed = True
                self._wake_all()  # signals may have been missed until now
                self.remembered.forget()
                while not self._closed.is_set():
                    message = pubsub.get_message(timeout=1.0)
                    if message is not None:
                        self._hear(message["channel"].decode(), message["data"])
        finally:
            self._subscribed = False

    def _hear(self, channel: str, message: bytes) -> None:
        if channel == signals.CONFIGURED:
            self.remembered.forget()
        else:
            signal = signals.parsed(message)
            if signal.mark in ENDS:
                self._ended[signal.job_id] = None
                if len(self._ended) > ENDS_KEPT:
                    self._ended.popitem(last=False)
            self._wake(signal.job_id, signal.mark, signal.told)

    def _wake(self, job_id: str, mark: str = "", told: bytes = b"") -> None:
        for waiter in list(self._waiting.get(job_id, ())):
            waiter.ring(mark, told)
        for waiter in list(self._waiting.get(ANY, ())):
            waiter.ring(mark)

    def _wake_all(self) -> None:
        for job_id in list(self._waiting):
            self._wake(job_id)
