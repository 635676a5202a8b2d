"""Running a job: claim it, do its work so that it can be ended, finish it once."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import structlog
from bson.errors import InvalidDocument
from pymongo.errors import DocumentTooLarge, PyMongoError, WriteError

from core.errors import JobFailed, Problem
from core.ids import new_nonce
from core.jobs import kinds, signals
from core.jobs.accept import enqueue
from core.jobs.bounds import Bounds
from core.jobs.claim import Batched, claim, disown, finish, hand_back, note_unkept
from core.jobs.document import Job, Status, Stop
from core.jobs.gate import Gate
from core.jobs.model import CANCELLED, FAILED, SUCCEEDED, runs_again
from core.jobs.places import Places
from core.llm.records import CUT_OFF, IN_FLIGHT, Call
from core.services import Services
from core.store.repeat import through_outages

Document = dict[str, Any]

ENDING_S = 10.0
ENDING = 8
"""Ends that are written at the same time, as many as jobs begin. More of them delay each other at the store,
and a workspace that has few: beside 900 calls that ended within ten seconds, another's chat took six."""
MINUTE_S = 60.0
LAST = 5
NOT_STORABLE = (DocumentTooLarge, WriteError, InvalidDocument, OverflowError, UnicodeEncodeError)

log = structlog.get_logger(__name__)


class Work(Protocol):
    """A piece of work under way, which can be ended from outside, whatever it waits for."""

    def join(self, timeout_s: float) -> bool:
        """Wait; True when the work has ended."""

    def kill(self) -> None:
        """Ask it to end, without waiting. `join` tells when it has ended; then its sockets are closed."""


Start = Callable[[Callable[[], None]], Work]
"""Starts a function as `Work`: a greenlet or a thread, as the role of the process says."""


@dataclass
class Run:
    """One claim being carried out: what its handler writes down, and why it was stopped, if it was."""

    services: Services
    job: Job
    calls: list[Call] = field(default_factory=list)
    result: Document | None = None
    partial: Document | None = None
    problem: Problem | None = None
    stopped: Stop | None = None
    work: Work | None = None
    done: bool = False
    told_to_stop: threading.Event = field(default_factory=threading.Event)
    """For work that cannot be ended from outside: it waits for this instead of sleeping, and looks at it."""

    def stop(self, reason: Stop) -> None:
        """End the work. The first reason stands."""
        if not self.done and self.stopped is None:
            self.stopped = reason
            self.told_to_stop.set()
            if (work := self.work) is not None:  # read once: whoever carries it out lets go of it at its end
                work.kill()


Handler = Callable[[Run], Document]
"""Carries out a kind of job: appends to `run.calls` meanwhile, returns the result or raises a `Problem`."""


class Runner:
    """Carries out the jobs of one process.

    `lost()`: was this process declared dead? `queues`: those that this process takes from; None: any.
    `begun(job_id)`: it was claimed, or could not be. `bounds`: how many may run of whom. `places`: those of
    this process; None: all that it ends are `due`.
    """

    def __init__(
        self,
        services: Services,
        process_id: str,
        handlers: Mapping[str, Handler],
        *,
        start: Start,
        lost: Callable[[], bool],
        queues: Collection[str] | None = None,
        begun: Callable[[str], None] = lambda _: None,
        bounds: Bounds | None = None,
        places: Places | None = None,
    ) -> None:
        self.services = services
        self.process_id = process_id
        self.handlers = handlers
        self.start = start
        self.lost = lost
        self.queues = queues
        self.begun = begun
        self.bounds = bounds or Bounds()
        self.places = places or Places(process_id, fresh=lambda: False)
        self.running: dict[str, Run] = {}
        self.draining = False
        self._writes = Gate(ENDING)
        self._by = Batched(services.db)
        self._signals = signals.Publisher(services.redis)
        self._ended: deque[float] = deque()
        self._last: deque[str] = deque(maxlen=LAST)

    def run(self, job_id: str) -> None:
        """Carry out a job if it can still be claimed. Whatever the job does, this does not raise."""
        if self.draining:
            return  # the job stays queued: the reconciler sends it again
        try:
            job = self._claimed(job_id)
        except PyMongoError as error:
            log.warning("job.not_claimed", job_id=job_id, error=type(error).__name__)
            return  # this process ends: if the claim reached the store all the same, the job is taken up
        finally:
            self.begun(job_id)
        if job is not None:
            self.carry_out(job)

    def carry_out(self, job: Job) -> None:
        """Carry out a job that is this process's own. Whatever the job does, this does not raise."""
        run = Run(self.services, job)
        self.running[job["_id"]] = run
        try:
            with structlog.contextvars.bound_contextvars(job_id=job["_id"], request_id=job["request_id"]):
                self._carry_out(run)
                self._conclude(run)
        except Exception:  # whatever it was: nobody else here would end this job
            log.exception("job.not_concluded", job_id=job["_id"])
            self._write(job, lambda: disown(self.services.db, job), "disown")
        finally:
            run.problem = run.work = None  # both know where they were, and so all that was sent, and this
            del self.running[job["_id"]]
            self._ended.append(time.monotonic())
            self._last.appendleft(job["_id"])

    def above_bound(self, job: Job) -> bool:
        """Do more jobs run than may, with this one that was claimed? Raises `PyMongoError`, as this ends."""
        return through_outages(
            lambda: self.bounds.exceeded(self.services.db, job) is not None,
            what="bounds",
            give_up=lambda: self.lost() or self.draining,
        )

    def finished_last_minute(self) -> int:
        """How many jobs this process ended in the last minute."""
        while self._ended and time.monotonic() - self._ended[0] > MINUTE_S:
            self._ended.popleft()
        return len(self._ended)

    def last_jobs(self) -> list[str]:
        """The jobs that this process ended last, the latest first."""
        return list(self._last)

    def _claimed(self, job_id: str) -> Job | None:
        """All tries have the same fence: a claim whose reply was lost is still ours."""
        fence, db = new_nonce(), self.services.db

        def claimed() -> Job | None:
            job = claim(db, job_id, self.process_id, fence=fence, queues=self.queues, by=self._by)
            if job is None or self.bounds.exceeded(db, job) is None:
                return job
            if hand_back(db, job, []):  # several processes began the last one together
                enqueue(self.services.send, job)
            return None

        return through_outages(claimed, what="claim", give_up=lambda: self.lost() or self.draining)

    def stop(self, job_id: str, reason: Stop) -> None:
        """End one job's work, if it is here."""
        run = self.running.get(job_id)
        if run is not None:
            run.stop(reason)

    def drain(self) -> None:
        """Claim nothing more."""
        self.draining = True

    def hand_back_all(self) -> None:
        """End all work under way. Each job goes back to the queue, if it may run again."""
        for run in list(self.running.values()):
            run.stop("handed_back")

    def _carry_out(self, run: Run) -> None:
        run.work = self.start(lambda: self._handle(run))
        time.sleep(0)  # the work goes first, and this goes on while it waits for somebody
        self._signals.publish(signals.CHANGED, signals.begun(run.job["_id"]))
        log.debug("job.started", kind=run.job["kind"], attempt=run.job["attempt"])
        if run.stopped:  # asked for between the claim and this line
            run.work.kill()
        if not run.work.join(_limit(run)):
            run.stop("deadline")
            run.work.join(ENDING_S)
        run.done = True

    def _handle(self, run: Run) -> None:
        try:
            run.result = self.handlers[run.job["kind"]](run)
        except Problem as problem:
            run.problem = problem
        except Exception as error:  # noqa: BLE001 - whatever it is, the job must say that it failed
            # No message, no locals: an exception's text may quote a prompt or a key.
            frames = traceback.extract_tb(error.__traceback__)
            where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
            log.error("job.crashed", error=type(error).__name__, where=where)
            run.problem = JobFailed("an error of ours; the log has the details", code="internal")

    def _conclude(self, run: Run) -> None:
        """Write the end down, however long the store does not take it, while this process is not declared
        dead."""
        job = run.job
        ended = as_they_stand(run)
        if run.stopped == "handed_back" and run.result is None and runs_again(job, ended):
            outcome = "handed_back"
            kept = self._write(job, lambda: hand_back(self.services.db, job, ended), "hand back")
            if kept:
                enqueue(self.services.send, job)
        else:
            status, error = _verdict(run)
            outcome = status
            result = run.result or run.partial
            kept = self._in_its_place(
                job, lambda: self._finish(job, status, calls=ended, result=result, error=error)
            )
        if kept:
            signal = job["_id"] if kept is True else signals.ended(kept)
            self._signals.publish(signals.CHANGED, signal)
            log.info("job.ended", kind=job["kind"], outcome=outcome, attempt=job["attempt"])
        else:
            log.warning("job.lost", outcome=outcome, attempt=job["attempt"])
            self._write(job, lambda: note_unkept(self.services.db, job, ended), "note unkept calls")

    def _finish(
        self,
        job: Job,
        status: Status,
        *,
        calls: list[Call],
        result: Document | None,
        error: Document | None,
    ) -> Job | None:
        """Finish, whatever a provider sent: a job whose end cannot be stored would run for ever."""
        end = partial(finish, self.services.db, job, place=self.places.take(job), by=self._by)
        try:
            return end(status=status, calls=calls, result=result, error=error)
        except NOT_STORABLE as problem:
            log.error("job.not_storable", job_id=job["_id"], error=type(problem).__name__)
            lean: list[Call] = [{**call, "usage_raw": None, "detail": None} for call in calls]
            failure = JobFailed(
                "the answer cannot be stored: it is too large, or no JSON", code="not_storable"
            )
            return end(status=FAILED, calls=lean, error=failure.as_dict())

    def _in_its_place(self, job: Job, end: Callable[[], Job | None]) -> Any:
        """Write the end; the places hear what became of it, whatever ends this."""
        kept: Any = False
        try:
            kept = self._write(job, end, "finish")
        finally:
            self.places.told(job, kept=None if kept is False else kept is not None)
        return kept

    def _write(self, job: Job, write: Callable[[], Any], what: str) -> Any:
        def in_turn() -> Any:
            with self._writes.place(job["workspace_id"]):
                return write()

        try:
            return through_outages(in_turn, what=what, give_up=self.lost, passes=lambda _: True)
        except PyMongoError as error:
            log.error("job.not_written", what=what, error=type(error).__name__)
            return False


def _verdict(run: Run) -> tuple[Status, Document | None]:
    if run.result is not None:  # what is done is kept, even if it was to be cancelled
        return SUCCEEDED, None
    if run.stopped == "cancelled":
        return CANCELLED, None
    if run.stopped == "handed_back":
        detail = "its worker was stopped, and this job must not be run again"
        return FAILED, JobFailed(detail, code="worker_lost").as_dict()
    if run.stopped == "deadline":
        return FAILED, JobFailed(f"not done within {_limit(run):g} s", code="deadline").as_dict()
    problem = run.problem or JobFailed("the work ended without a result", code="internal")
    return FAILED, problem.as_dict()


def _limit(run: Run) -> float:
    """How long this kind of job may take, in seconds."""
    return kinds.row(run.job["kind"]).time_limit(run.services.settings)


def as_they_stand(run: Run) -> list[Call]:
    """The calls at the end, with their attempt. A call in flight was cut off; it may have been charged."""
    return [
        {
            **call,
            "attempt": run.job["attempt"],
            "outcome": CUT_OFF if call["outcome"] == IN_FLIGHT else call["outcome"],
        }
        for call in run.calls
    ]
