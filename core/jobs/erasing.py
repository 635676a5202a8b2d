"""Erasing what was said in a job: prompt, output, events, and its place in a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import redis
from pymongo.database import Database

from core.clock import utcnow
from core.jobs import kinds
from core.jobs.document import Job
from core.jobs.events import forget
from core.llm.records import Call
from core.store import overwriting

Document = dict[str, Any]

ERASED = "erased with the content"


def erase(db: Database[Document], client: redis.Redis, job: Job) -> None:
    """Remove what was said from a job that is done. Ids, times, calls and tokens stay. Safe to repeat."""
    changes: Document = {"request": None, "plan": {}, "content_erased_at": utcnow(), "send_after": None}
    if job["result"]:
        changes["result"] = {**job["result"], **dict.fromkeys(_said(job))}
    if job["error"]:  # a provider's words may quote the prompt
        changes["error"] = {**job["error"], "detail": ERASED}
    changes |= {f"calls.{n}.detail": None for n in _quoting(job["calls"])}
    leave_conversation(db, job)
    db.jobs.update_one({"_id": job["_id"], "status": job["status"]}, {"$set": changes})
    _erase_unkept(db, job)
    forget(client, job["_id"])
    overwriting.note(db)


def _erase_unkept(db: Database[Document], job: Job) -> None:
    """Last, since a call may have been noted until now; from now on it is noted without words."""
    found: Document = db.jobs.find_one({"_id": job["_id"]}, {"unkept": 1}) or {}
    words: Document = {
        f"unkept.{i}.calls.{n}.detail": None
        for i, unkept in enumerate(found.get("unkept", ()))
        for n in _quoting(unkept["calls"])
    }
    if words:
        db.jobs.update_one({"_id": job["_id"]}, {"$set": words})


def _said(job: Job) -> Iterable[str]:
    """The fields of its result to erase: all of them, if its kind is no longer in the table."""
    kind = kinds.KINDS.get(job["kind"])
    return job["result"] if kind is None else kind.said


def _quoting(calls: Sequence[Call]) -> list[int]:
    """Which of these calls keep words of their provider."""
    return [n for n, call in enumerate(calls) if call.get("detail")]


def leave_conversation(db: Database[Document], job: Job) -> None:
    """Remove the job's turn from its conversation; a conversation without turns is deleted."""
    turn = db.conversation_turns.find_one({"_id": job["_id"]}) if in_conversation(job) else None
    if turn is None:
        return
    db.conversation_turns.delete_one({"_id": turn["_id"]})
    if db.conversation_turns.find_one({"conversation": turn["conversation"]}, {"_id": 1}) is None:
        db.conversations.delete_one({"_id": turn["conversation"]})


def in_conversation(job: Job) -> str | None:
    """The conversation that a job's client named."""
    named = (job["request"] or {}).get("conversation_id")
    return str(named) if named is not None else None
