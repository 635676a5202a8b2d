"""What may be done to jobs: cancel, run again as they were or with a change, erase; one, or many at once."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from core.errors import Conflict, Invalid
from core.jobs import control, queries
from core.jobs.document import Job
from web.context import db, services, workspace_id
from web.dashboard.frame import answers
from web.dashboard.frame.formats import plural
from web.dashboard.jobs import bulk
from web.doors import again

Document = dict[str, Any]

views = Blueprint("writes", __name__)


@views.post("/jobs/<job_id>/cancel")
def cancel(job_id: str) -> Response:
    """End a job."""
    job = control.cancel(db(), services().redis, _job(job_id))
    return answers.go(
        f"/jobs/{job_id}", "Cancelled." if job["status"] == "cancelled" else "It is being ended."
    )


@views.post("/jobs/<job_id>/retry")
def retry(job_id: str) -> Response:
    """Run a job again, as it was."""
    return answers.go(f"/jobs/{again.run(_job(job_id))['_id']}", "This is the job that runs again.")


@views.get("/jobs/<job_id>/change")
def change(job_id: str) -> Response:
    """A form to run a chat again with another model or message."""
    job = _job(job_id)
    again.check_change(job)
    return answers.page("jobs/change.html", job=job, message=_asked(job), model=_model(job))


@views.post("/jobs/<job_id>/change")
def run_changed(job_id: str) -> Response:
    """Run a chat again with the change."""
    job = _job(job_id)
    text, model = request.form.get("message", "").strip(), request.form.get("model", "").strip()
    if not text:
        raise Invalid("a message needs some text")
    messages = _with(job, text)
    made = again.changed(job, model=model if model != _model(job) else None, messages=messages)
    return answers.go(f"/jobs/{made['_id']}", "This is the job with the change.")


@views.post("/jobs/<job_id>/erase")
def erase(job_id: str) -> Response:
    """Erase what was said in a job."""
    control.erase_content(db(), services().redis, _job(job_id))
    return answers.go(f"/jobs/{job_id}", "Its content is erased.")


@views.get("/jobs/bulk")
def ask() -> Response:
    """How many jobs it would be, before anything is done to them."""
    chosen = bulk.read(request.args)
    return answers.page("jobs/bulk.html", chosen=chosen, count=chosen.count(), most=bulk.MOST)


@views.post("/jobs/bulk")
def do() -> Response:
    """Do it to as many jobs as was confirmed, and to none that came later."""
    chosen = bulk.read(request.form)
    done, refused = chosen.act(bulk.number(request.form.get("count")))
    why = f" {plural(len(refused), 'job')} not: {refused[0].detail}." if refused else ""
    return answers.go("/jobs", f"{plural(done, 'job')} {chosen.past}.{why}")


def _job(job_id: str) -> Job:
    return queries.get(db(), workspace_id(), job_id)


def _asked(job: Job) -> str:
    """What the user said last."""
    message = _last(job)
    return message["content"] if message is not None else ""


def _with(job: Job, text: str) -> list[Document]:
    """The job's messages, this text in place of what the user said last."""
    last = _last(job)
    if last is None:
        raise Conflict("this chat ends with no text that could be changed")
    return [{**said, "content": text} if said is last else said for said in job["request"]["messages"]]


def _last(job: Job) -> Document | None:
    texts = (m for m in reversed(job["request"]["messages"]) if m["role"] == "user")
    return next((message for message in texts if isinstance(message["content"], str)), None)


def _model(job: Job) -> str:
    targets = job["plan"].get("targets") or [{}]
    return str(targets[0].get("model") or (job["result"] or {}).get("model") or "")
