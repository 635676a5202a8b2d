"""Claim, finish, hand back: the compare-and-sets by which a worker gets a job and gives it up."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, cast

from pymongo.database import Database

from core.clock import utcnow
from core.ids import new_nonce
from core.jobs.document import Job, Status, jobs_of
from core.jobs.model import CANCELLED, DONE, QUEUED, RUNNING, ending, known_by, queued_again
from core.jobs.places import DUE
from core.llm.records import Call
from core.store.free_json import storable
from core.store.repeat import update_where
from core.store.together import Finds, Updates

Document = dict[str, Any]


class Batched:
    """Finds and updates single jobs for a process that carries out many: those of the same time together."""

    def __init__(self, db: Database[Document]) -> None:
        self.find: Callable[[str], Job | None] = Finds(jobs_of(db)).find
        self.update = Updates(db.jobs).update


def claim(
    db: Database[Document],
    job_id: str,
    owner: str,
    *,
    fence: str | None = None,
    queues: Collection[str] | None = None,
    by: Batched | None = None,
) -> Job | None:
    """Make a queued job this process's own. The job as claimed, or None: somebody else was first.

    Each claim has a random fence of its own; all later writes of the claim are filtered by it. `fence`: that
    of an earlier try whose reply may have been lost; if it succeeded, the job is ours. `queues`: those that
    this process takes from; a job may have moved to another queue after its message was sent. `by`: with
    those of the same time.
    """
    fence = fence or new_nonce()
    job = by.find(job_id) if by else jobs_of(db).find_one({"_id": job_id})
    if job is not None and job["fence"] == fence:
        return job
    if job is None or job["status"] != QUEUED or (queues is not None and job["queue"] not in queues):
        return None
    changes = {"status": RUNNING, "owner": owner, "fence": fence, "started_at": utcnow()}
    won = update_where(
        db.jobs,
        job_id,
        {"status": QUEUED, "attempt": job["attempt"], "queue": job["queue"]},
        {"$set": changes, "$inc": {"attempt": 1}},
        was_mine=lambda found: found["fence"] == changes["fence"],
        write=by.update if by else None,
    )
    return cast(Job, {**job, **changes, "attempt": job["attempt"] + 1}) if won else None


def finish(
    db: Database[Document],
    job: Job,
    *,
    status: Status,
    calls: list[Call],
    result: Document | None = None,
    error: Document | None = None,
    place: str | None = None,
    by: Batched | None = None,
) -> Job | None:
    """End a job that this claim owns, in one write; the job as it has ended.

    None: somebody else owns it, and nothing was changed, nor will be. `by`: with those of the same time.
    """
    update = ending(
        job,
        status=status,
        now=utcnow(),
        result=result,
        error=error,
        calls=job["calls"] + calls,
        fence=job["fence"],
        place=place,
    )
    ended = update_where(
        db.jobs,
        job["_id"],
        {"status": RUNNING, "fence": job["fence"]},
        update,
        was_mine=lambda found: found["fence"] == job["fence"] and found["status"] in DONE,
        write=by.update if by else None,
    )
    return cast(Job, {**job, **update["$set"]}) if ended else None


def let_go(db: Database[Document], job: Job, *, never_begun: bool = False) -> Job | None:
    """A seated job that its process will not end is queued.

    `never_begun`: its process says so, and it is as if it had never been there. Otherwise its attempt counts:
    calls and events of two claims must not have the same ids.
    None: it is somebody else's by now, or is to be cancelled, which ends it as any running job.
    """
    changes: Document = {**queued_again(utcnow()), "started_at": None}
    if never_begun:
        changes["attempt"] = 0
    done = update_where(
        db.jobs,
        job["_id"],
        {"fence": job["fence"], "status": RUNNING, "cancel_requested": False},
        {"$set": changes},
        was_mine=lambda _: False,
    )
    return cast(Job, {**job, **changes}) if done else None


def hand_back(db: Database[Document], job: Job, calls: list[Call]) -> bool:
    """Return a job that could not be finished before this process stops. It does not count as a loss.

    A job whose cancellation was asked for ends instead. False: somebody else owns it.
    """
    returned = {"attempt": job["attempt"], "owner": job["owner"], "at": utcnow()}
    back = update_where(
        db.jobs,
        job["_id"],
        {"status": RUNNING, "fence": job["fence"], "cancel_requested": False},
        {
            "$set": {**queued_again(utcnow()), "calls": storable(job["calls"] + calls)},
            "$push": {"handed_back": returned},
        },
        was_mine=lambda found: any(r["attempt"] == job["attempt"] for r in found.get("handed_back", [])),
    )
    return back or finish(db, job, status=CANCELLED, calls=calls) is not None


def disown(db: Database[Document], job: Job) -> bool:
    """A job that its claim will not end is nobody's: the reconciler takes it up, as one whose worker died."""
    return update_where(
        db.jobs,
        job["_id"],
        {"status": RUNNING, "fence": job["fence"]},
        {"$set": {"owner": None}},
        was_mine=lambda found: found["fence"] == job["fence"] and found["owner"] is None,
    )


def note_unkept(db: Database[Document], job: Job, calls: list[Call]) -> None:
    """Note the calls of a claim that lost its job: the audit shows them, the bill does not.

    Of a job that was erased meanwhile, without the provider's words.
    """
    if not calls:
        return
    wordless: list[Call] = [{**call, "detail": None} for call in calls]
    for erased, told in ((None, calls), ({"$ne": None}, wordless)):
        attempt = job["attempt"]
        unkept = {"attempt": attempt, "owner": job["owner"], "calls": storable(told)}
        unnoted = {"unkept.attempt": {"$ne": attempt}, "calls.attempt": {"$ne": attempt}}
        db.jobs.update_one(
            {"_id": job["_id"], "content_erased_at": erased, **unnoted},
            {
                "$push": {"unkept": unkept},
                "$addToSet": {"known_as": {"$each": known_by(calls)}},
                "$set": {"meter": DUE},
                "$inc": {"meter_rev": 1},
            },
        )
