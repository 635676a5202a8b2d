"""A job as the API shows it. Pure."""

from __future__ import annotations

from typing import Any

from core.clock import rfc3339
from core.jobs.document import Job
from core.jobs.model import DONE, INTERACTIVE
from core.llm.records import Call

Document = dict[str, Any]

UNASKED = {"request": 0, "plan": 0}
"""The projection without what no view of a job shows; these fields may be megabytes."""

OF_CALL = (
    "provider",
    "model",
    "outcome",
    "http_status",
    "latency_ms",
    "first_token_ms",
    "output_tokens_per_second",
    "provider_request_id",
)
WHERE_SAID = ("finish_reason",)


def public(job: Job) -> Document:
    """The JSON of a job: nothing of its plan, its owner or its keys."""
    base = f"/api/v1/jobs/{job['_id']}"
    return {
        "id": job["_id"],
        "kind": job["kind"],
        "status": job["status"],
        "done": job["status"] in DONE,
        "workspace_id": job["workspace_id"],
        "agent_id": job["agent_id"],
        "attempt": job["attempt"],
        "progress": job.get("progress"),
        "created_at": rfc3339(job["created_at"]),
        "started_at": rfc3339(job["started_at"]),
        "finished_at": rfc3339(job["finished_at"]),
        "result": job["result"],
        "error": job["error"],
        "calls": _calls(job),
        "metadata": job.get("metadata") or {},
        "priority": job.get("priority") or INTERACTIVE,
        "retry_of": job.get("retry_of"),
        "links": {"self": base, "events": f"{base}/events", "cancel": f"{base}/cancel"},
    }


def call(made: Call) -> Document:
    """A provider call as a job shows it. `finish_reason`: the provider's own word, where nobody knows it."""
    said = {name: made.get(name) for name in WHERE_SAID if name in made}
    return {**{name: made.get(name) for name in OF_CALL}, **said}


def _calls(job: Job) -> list[Document]:
    """Every call that the store knows of, those of a worker that had lost the job too, in their order."""
    made: list[Call] = [{"attempt": job["attempt"], **one} for one in job["calls"]]
    for lost in job.get("unkept", ()):
        made += [{**one, "attempt": lost["attempt"]} for one in lost["calls"]]
    made.sort(key=lambda one: (one["attempt"], one["n"]))
    return [{**call(one), "attempt": one["attempt"], "detail": one.get("detail")} for one in made]
