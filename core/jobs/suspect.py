"""The suspect: the job whose work keeps its process's event loop from turning. It kills no other worker."""

from __future__ import annotations

from types import FrameType
from typing import Any

import structlog
from pymongo.database import Database

from core.errors import JobFailed
from core.jobs.claim import finish
from core.jobs.model import FAILED
from core.jobs.run import Run, Runner, as_they_stand

Document = dict[str, Any]

log = structlog.get_logger(__name__)


def condemn(db: Database[Document], frame: FrameType | None) -> bool:
    """Fail the job that is being worked on in this frame of the loop's thread. False: there is none."""
    run = _at_work(frame)
    if run is None:
        return False
    error = JobFailed("its worker stood still over it; it is not run again", code="worker_stuck")
    job, calls = run.job, as_they_stand(run)
    log.error("job.suspect", job_id=job["_id"])
    return finish(db, job, status=FAILED, calls=calls, error=error.as_dict()) is not None


def _at_work(frame: FrameType | None) -> Run | None:
    """Only one greenlet runs at a time; its frames lead down to where its job was handed to its handler."""
    while frame is not None:
        if frame.f_code is Runner._handle.__code__:
            found: Run = frame.f_locals["run"]
            return found
        frame = frame.f_back
    return None
