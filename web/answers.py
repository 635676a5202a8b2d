"""Answers: JSON bodies, pages of a list, jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Response, request
from pydantic_core import to_json

from core.jobs import views
from core.jobs.document import Job
from core.jobs.model import DONE


def answer(
    data: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    as_type: str = "application/json",
) -> Response:
    """A JSON answer."""
    body = to_json(data, inf_nan_mode="null")
    return Response(body, status, headers, content_type=as_type)


def listed(items: Iterable[Any], next_cursor: str | None, **more: Any) -> Response:
    """One page of a list."""
    return answer({"items": list(items), "next_cursor": next_cursor, **more})


def nothing() -> Response:
    """It is done, and there is nothing to show."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def accepted(job: Job) -> Response:
    """202: the job will be carried out."""
    headers = {"Location": f"/api/v1/jobs/{job['_id']}", "Retry-After": "1"}
    return answer(views.public(job), 202, headers)


def finished(job: Job, waited_s: int) -> Response:
    """200: the job ended, well or not, while the client waited."""
    headers = {"Location": f"/api/v1/jobs/{job['_id']}", "Preference-Applied": f"wait={waited_s}"}
    return answer(views.public(job), headers=headers)


def current(job: Job) -> Response:
    """The job as it is now, or 304 to whom has seen it."""
    response = answer(views.public(job))
    response.set_etag(hashlib.sha256(response.data).hexdigest()[:32])
    if job["status"] not in DONE:
        response.headers["Retry-After"] = "1"
    response.make_conditional(request)
    return response
