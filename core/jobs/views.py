"""A job as the API shows it. Pure."""

from __future__ import annotations

from typing import Any

from core.clock import rfc3339
from core.jobs.document import Job
from core.jobs.model import DONE

Document = dict[str, Any]

UNASKED = {"request": 0, "plan": 0}
"""The projection without what no view of a job shows; these fields may be megabytes."""


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
        "metadata": job.get("metadata") or {},
        "retry_of": job.get("retry_of"),
        "links": {"self": base, "events": f"{base}/events", "cancel": f"{base}/cancel"},
    }
