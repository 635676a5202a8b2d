"""Conversations: which chats belong together, and in which order.

Their words are in their jobs alone, so they go when the content of the jobs goes. A chat takes its place when
a worker begins with it. It sees the chats that were accepted before it and have succeeded by then: chats of
one conversation that run at the same time do not see each other.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from itertools import pairwise, takewhile
from typing import Any

import redis
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core import tokens
from core.chat import history
from core.clock import rfc3339, utcnow
from core.documents import Agent
from core.errors import NotFound
from core.ids import new_id
from core.jobs.document import Job, jobs_of
from core.jobs.erasing import erase, in_conversation, leave_conversation
from core.jobs.model import DONE, SUCCEEDED
from core.llm.types import ChatRequest
from core.store import marks, pages

Document = dict[str, Any]

SAID = {"status": 1, "request": 1, "result": 1, "created_by": 1}
"""The projection of an earlier turn: without its plan, and without what its providers reported."""


def recall(db: Database[Document], job: Job, request: ChatRequest, window: int) -> tuple[ChatRequest, int]:
    """The request with as much of its conversation's history as a `window` of tokens takes.

    Also returns how many turns were dropped. It gives the chat its place in the conversation; safe to repeat.
    """
    room = window - (request.parameters.get("max_tokens") or min(tokens.ANSWER, window // 4))
    room -= tokens.about([], request.system_prompt, request.parameters.get("tools"))
    turns, unread = _newest(db, _enter(db, job), job, room)
    messages, dropped = history.told(turns, request.messages, room)
    return replace(request, messages=messages), dropped + unread


def page(
    db: Database[Document], agent: Agent, *, limit: int, cursor: str | None
) -> tuple[list[Document], str | None]:
    """An agent's conversations, newest first."""
    whose = {"agent_id": agent["_id"]}
    marked = partial(marks.places, db.conversations, whose)
    return pages.page(db.conversations, whose, limit=limit, cursor=cursor, places=marked)


def get(db: Database[Document], agent: Agent, name: str) -> Document:
    """Raises `NotFound`."""
    found = _find(db, agent["_id"], name)
    if found is None:
        raise NotFound("no such conversation")
    return found


def jobs(db: Database[Document], conversation: Document, *, limit: int) -> list[Job]:
    """The last jobs of a conversation, however they ended or still run, in its order; fewer if large."""
    of_it = {"conversation": conversation["_id"]}
    turns, _ = pages.page(db.conversation_turns, of_it, limit=limit, cursor=None)
    found = pages.whole(jobs_of(db), [turn["_id"] for turn in turns])
    return list(takewhile(pages.Room().takes, found))[::-1]


def first_said(db: Database[Document], conversation: Document) -> str:
    """What a user said first in a conversation; empty where that is no text, or was erased."""
    of_it = {"conversation": conversation["_id"]}
    turn = db.conversation_turns.find_one(of_it, sort=[("created_at", 1)])
    last = {"request.messages": {"$slice": -1}}
    job = db.jobs.find_one({"_id": turn["_id"]}, last) if turn is not None else None
    messages = (job["request"] or {}).get("messages") if job is not None else None
    content = messages[-1]["content"] if messages else ""
    return content if isinstance(content, str) else str((content or [{}])[0].get("text", ""))


def turns_page(
    db: Database[Document], conversation: Document, *, limit: int, cursor: str | None
) -> tuple[list[Job], str | None]:
    """The jobs of a conversation that succeeded, newest first."""
    of_it = {"conversation": conversation["_id"]}
    turns, after = pages.page(db.conversation_turns, of_it, limit=limit, cursor=cursor)
    room, items = pages.Room(), list[Job]()
    for before, turn in pairwise([{}, *turns]):
        job = jobs_of(db).find_one({"_id": turn["_id"]})
        if job is None or not _said(job):
            continue
        if not room.takes(job):
            return items, pages.cursor_after(before)
        items.append(job)
    return items, after


def delete(db: Database[Document], client: redis.Redis, conversation: Document) -> None:
    """Erase a conversation and the content of its jobs. A chat that asks for it later begins it anew."""
    for turn in list(db.conversation_turns.find({"conversation": conversation["_id"]})):
        job = jobs_of(db).find_one({"_id": turn["_id"]})
        if job is not None and job["status"] in DONE:
            erase(db, client, job)
    db.conversation_turns.delete_many({"conversation": conversation["_id"]})
    db.conversations.delete_one({"_id": conversation["_id"]})


def delete_all(db: Database[Document], client: redis.Redis, agent_id: str) -> None:
    """Erase all of an agent's conversations."""
    for conversation in list(db.conversations.find({"agent_id": agent_id})):
        delete(db, client, conversation)


def public(conversation: Document) -> Document:
    """A conversation as the API shows it."""
    agent_id, name = conversation["agent_id"], conversation["name"]
    return {"id": name, "agent_id": agent_id, "created_at": rfc3339(conversation["created_at"])}


def public_turn(job: Job) -> Document:
    """One chat of a conversation as the API shows it: what was asked, then the answer."""
    return {"job_id": job["_id"], "created_at": rfc3339(job["created_at"]), "messages": _said(job)}


def _enter(db: Database[Document], job: Job) -> str:
    """Give the job its turn in its conversation, whose id is returned."""
    name = in_conversation(job)
    assert name is not None
    conversation = _find(db, job["agent_id"], name) or _begun(db, job, name)
    turn = {"_id": job["_id"], "conversation": conversation["_id"], "created_at": job["created_at"]}
    with contextlib.suppress(DuplicateKeyError):  # an earlier claim of this job has entered it
        db.conversation_turns.insert_one(turn)
    return str(conversation["_id"])


def _begun(db: Database[Document], job: Job, name: str) -> Document:
    conversation_id = new_id()
    conversation = {
        "_id": conversation_id,
        **marks.mark(conversation_id),
        "workspace_id": job["workspace_id"],
        "agent_id": job["agent_id"],
        "name": name,
        "created_at": utcnow(),
    }
    try:
        db.conversations.insert_one(conversation)
    except DuplicateKeyError:
        return _find(db, job["agent_id"], name) or conversation
    return conversation


def _find(db: Database[Document], agent_id: str | None, name: str) -> Document | None:
    return db.conversations.find_one({"agent_id": agent_id, "name": name})


def _newest(
    db: Database[Document], conversation_id: str, job: Job, room: int
) -> tuple[list[list[Document]], int]:
    """The newest turns before this job's that fill the room, and how many older ones there are."""
    places = list(db.conversation_turns.find({"conversation": conversation_id}))
    mine = (job["created_at"], job["_id"])
    before = sorted(place for p in places if (place := (p["created_at"], p["_id"])) < mine)
    own_alone = job["plan"].get("own_turns", False)
    turns: list[list[Document]] = []
    while before and room >= 0:
        _, job_id = before.pop()
        earlier = jobs_of(db).find_one({"_id": job_id}, SAID)
        if own_alone and earlier is not None and earlier["created_by"] != job["created_by"]:
            continue
        said = _said(earlier) if earlier is not None else []
        if said:
            turns.insert(0, said)
            room -= tokens.about(said)
        elif earlier is not None and earlier["status"] in DONE:
            leave_conversation(db, earlier)
    return turns, len(before)


def _said(job: Job) -> list[Document]:
    """A job's messages and its answer; empty if the job did not succeed, or its content is gone."""
    if job["status"] != SUCCEEDED or job["request"] is None:
        return []
    return [*job["request"]["messages"], job["result"]["message"]]
