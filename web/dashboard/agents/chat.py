"""A chat with an agent: its conversations, what was said in one, and the answer as it comes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from pydantic import ValidationError

from core import retention
from core.agents import agents
from core.chat import attachments, conversations
from core.documents import Agent
from core.drive import files
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.jobs import control, queries
from core.jobs.document import Job
from core.jobs.model import DONE
from web import problems
from web.api.models import Chat
from web.context import caller, db, services, workspace_id
from web.dashboard.agents import one
from web.dashboard.frame import answers
from web.doors import work

Document = dict[str, Any]

views = Blueprint("chat", __name__)

SHOWN = 30
EARLIER = 20
OFFERED = 50


@views.get("/agents/<agent_id>")
def show(agent_id: str) -> Response:
    """A conversation: the one that the address names, or a new one."""
    agent = one.get(agent_id)
    name = request.args.get("conversation", "")
    return one.page(
        "agents/chat.html",
        agent,
        name=name or new_id(),
        turns=[_turn(job) for job in _jobs(agent, name, request.args.get("job", ""))],
        earlier=_earlier(agent),
        open=name,
        files=_offered(),
        remembers=retention.remembers(agent, services().settings),
    )


@views.post("/agents/<agent_id>/chat")
def say(agent_id: str) -> Response:
    """Ask the agent. The answer is a job; the page follows it."""
    agent = agents.checked(one.get(agent_id))
    job, _ = work.accepted(work.draft("chat", agent, _asked(agent)), agent)
    if not answers.by_htmx():
        return answers.go(_address(agent, job))
    response = _shown(agent, job, _address(agent, job))
    response.headers |= {"HX-Retarget": "#talk", "HX-Reswap": "beforeend"}
    return response


@views.get("/agents/<agent_id>/turns/<job_id>")
def turn(agent_id: str, job_id: str) -> Response:
    """One turn of a conversation, as it is now."""
    return _shown(one.get(agent_id), _job(agent_id, job_id))


@views.post("/agents/<agent_id>/turns/<job_id>/stop")
def stop(agent_id: str, job_id: str) -> Response:
    """End the answer; what was said so far is kept with the job."""
    job = control.cancel(db(), services().redis, _job(agent_id, job_id))
    # The page follows the answer, and sees its end there.
    return Response(status=204) if answers.by_htmx() else answers.go(_address(one.get(agent_id), job))


def _asked(agent: Agent) -> Document:
    """What the form says, as the body of a chat. Raises `Invalid`."""
    text, chosen = request.form.get("message", "").strip(), request.form.getlist("file")
    if not text:
        raise Invalid("a message needs some text")
    parts = [{"type": "text", "text": text}, *({"type": "file", "file_id": file} for file in chosen)]
    said = {"role": "user", "content": parts if chosen else text}
    body: Document = {"messages": [said], "stream": True}
    name = request.form.get("conversation", "")
    if name and retention.remembers(agent, services().settings):
        body["conversation_id"] = name
    try:
        return dict(Chat.model_validate(body).asked())
    except ValidationError as error:
        raise problems.invalid(error) from None


def _jobs(agent: Agent, name: str, last: str) -> list[Job]:
    """Those of a conversation; and the last one, which may not have its turn yet."""
    found: list[Job] = []
    try:
        found = conversations.jobs(db(), conversations.get(db(), agent, name), limit=SHOWN) if name else []
    except NotFound:
        pass  # it begins with its first turn
    if last and last not in [job["_id"] for job in found]:
        found.append(_job(agent["_id"], last))
    return found


def _job(agent_id: str, job_id: str) -> Job:
    """Raises `NotFound`, also for another agent's."""
    job = queries.get(db(), workspace_id(), job_id)
    if job["agent_id"] != agent_id:
        raise NotFound(f"no job {job_id}")
    return job


def _shown(agent: Agent, job: Job, address: str = "") -> Response:
    return answers.page("agents/turn.html", agent=agent, turn=_turn(job), address=address)


def _turn(job: Job) -> Document:
    """A job as a turn is drawn: what the user said last, with the names of its files."""
    messages = (job["request"] or {}).get("messages") or []
    content = messages[-1]["content"] if messages else None
    parts = content if isinstance(content, list) else []
    texts = [part["text"] for part in parts if part["type"] == "text" and isinstance(part.get("text"), str)]
    text = "\n".join(texts) if parts else content
    return {"job": job, "done": job["status"] in DONE, "text": text, "files": _names(parts)}


def _names(parts: Iterable[Document]) -> list[str]:
    ids = [part["file_id"] for part in parts if attachments.is_ours(part)]
    if not ids:
        return []
    mine = {"_id": {"$in": ids}, "workspace_id": workspace_id()}
    found = {file["_id"]: file["name"] for file in db().drive_files.find(mine)}
    return [found.get(file_id, "a file that is gone") for file_id in ids]


def _earlier(agent: Agent) -> list[Document]:
    """The agent's last conversations, by what was said first in each."""
    last, _ = conversations.page(db(), agent, limit=EARLIER, cursor=None)
    return [
        {"name": found["name"], "at": found["created_at"], "said": conversations.first_said(db(), found)}
        for found in last
    ]


def _offered() -> list[Document]:
    """The newest files of the drive that providers take."""
    found, _ = files.page(db(), workspace_id(), limit=OFFERED, cursor=None, agents=caller().agents)
    return [file for file in found if attachments.taken(file["media_type"])]


def _address(agent: Agent, job: Job) -> str:
    """Where the conversation is read again."""
    named = (job["request"] or {}).get("conversation_id")
    query = {"conversation": named, "job": job["_id"]} if named else {"job": job["_id"]}
    return f"/agents/{agent['_id']}?{urlencode(query)}"
