"""What happened to a job, in the order in which it did. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.jobs.document import Job
from core.jobs.model import DONE, QUEUED, RUNNING
from core.llm.records import OK, Call
from web.dashboard.frame.formats import millis, span, words


@dataclass(frozen=True)
class Step:
    """One thing that happened. `tone`: the class of its mark. `lasts`: how long it took, in words."""

    at: datetime
    title: str
    detail: str = ""
    tone: str = ""
    lasts: str = ""


def steps(job: Job, processes: Mapping[str, Mapping[str, Any]], waits: str | None) -> list[Step]:
    """`processes`: those that the job names, by id. `waits`: why it does, in words."""
    found = [*_begin(job), *_claims(job, processes), *_calls(job), *_end(job)]
    found.sort(key=lambda step: step.at)
    if waits is not None:
        found.append(Step(found[-1].at, "Waiting", waits, "queued"))
    if job["status"] == RUNNING and job["cancel_requested"]:
        found.append(Step(found[-1].at, "Cancelling", "its worker was told to end it", "queued"))
    return found


def _begin(job: Job) -> Iterator[Step]:
    again = f"again, of job {job['retry_of']}" if job.get("retry_of") else ""
    yield Step(job["created_at"], "Accepted", again, "begun")


def _claims(job: Job, processes: Mapping[str, Mapping[str, Any]]) -> Iterator[Step]:
    for lost in job.get("lost", ()):
        said = f"claim {lost['attempt']}, {_where(lost['owner'], processes)}; it goes back to its queue"
        yield Step(lost["lost_at"], "Worker lost", said, "failed")
    for back in job.get("handed_back", ()):
        said = f"claim {back['attempt']}, {_where(back['owner'], processes)} was stopped"
        yield Step(back["at"], "Handed back", said, "queued")
    started = job["started_at"]
    if started is not None and job["status"] != QUEUED:
        where = f", {_where(job['owner'], processes)}" if job["owner"] else ""
        waited = span(started - job["created_at"]) if job["attempt"] == 1 else ""
        lasts = f"waited {waited}" if waited and waited != "0 s" else ""
        yield Step(started, "Claimed", f"claim {job['attempt']}{where}", "running", lasts)


def _calls(job: Job) -> Iterator[Step]:
    for call in job["calls"]:
        yield _call(call)
    for unkept in job.get("unkept", ()):
        for call in unkept["calls"]:
            yield _call(call, " (not kept: its worker had lost the job)")


def _call(call: Call, more: str = "") -> Step:
    said = [f"{call['provider']} · {call['model']}"]
    if call["outcome"] != OK:
        said.append(words(call["outcome"]))
    if call["http_status"] is not None:
        said.append(f"HTTP {call['http_status']}")
    first = call.get("first_token_ms")
    if first is not None:
        said.append(f"first token after {millis(first)}")
    tone = "succeeded" if call["outcome"] == OK else "failed"
    lasts = millis(call["latency_ms"]) if call["latency_ms"] is not None else ""
    return Step(call["started_at"], "Call", ", ".join(said) + more, tone, lasts)


def _end(job: Job) -> Iterator[Step]:
    if job["status"] not in DONE or job["finished_at"] is None:
        return
    error = job["error"] or {}
    took = millis((job["finished_at"] - job["created_at"]) / timedelta(milliseconds=1))
    lasts = f"{took} in all" if took != "0 ms" else ""
    yield Step(job["finished_at"], job["status"].capitalize(), error.get("detail", ""), job["status"], lasts)
    if erased := job.get("content_erased_at"):
        yield Step(erased, "Content erased", "the accounting stays", "cancelled")


def _where(owner: str, processes: Mapping[str, Mapping[str, Any]]) -> str:
    process = processes.get(owner)
    return f"{process['role']} on {process['host']}, pid {process['pid']}" if process else f"process {owner}"
