"""A request's line in the log: one, with its id, and nobody waits for it."""

from __future__ import annotations

from structlog.testing import capture_logs
from werkzeug.test import create_environ

from core.jobs.accept import accept
from tests.factory import draft
from tests.web.conftest import ADMIN


def lines(logs):
    return [(line["route"], line["status"]) for line in logs if line["event"] == "request"]


def test_the_line_is_written_once_the_answer_was_sent(app):
    with capture_logs() as logs:
        answer = app(create_environ("/api/v1/jobs/x"), lambda *_: None)
        assert b"".join(answer)
        assert lines(logs) == []
        answer.close()
        assert lines(logs) == [("/api/v1/jobs/<job_id>", 401)]


def test_that_of_a_stream_is_written_as_it_begins(app, db):
    job, _ = accept(db, lambda _: None, draft(workspace_id="default"))
    asked = create_environ(f"/api/v1/jobs/{job['_id']}/events", headers={"X-API-Key": ADMIN})
    with capture_logs() as logs:
        answer = app(asked, lambda *_: None)
        assert lines(logs) == [("/api/v1/jobs/<job_id>/events", 200)]
        answer.close()
        assert len(lines(logs)) == 1
