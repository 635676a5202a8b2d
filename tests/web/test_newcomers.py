"""What a new user of the API stumbles over: each call does what it says, or says what it does not do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.clock import rfc3339, utcnow
from core.metering import statements
from tests.factory import queued

NO_BODY = ["/agents/agent:demo/llm-test", "/queues/chat/pause", "/queues/chat/resume", "/jobs/{job}/cancel"]
NO_QUERY = ["/queues", "/workers", "/scheduler", "/usage/statements", "/agents/running", "/agents/agent:demo"]


@pytest.mark.parametrize("path", NO_BODY)
def test_a_call_without_a_body_refuses_one(admin, agent, services, path):
    job = queued(services.db, workspace_id="default", agent_id=agent)["_id"]
    refused = admin.post(path.format(job=job), {"nonsense": 1})
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/nonsense")
    assert admin.post(path.format(job=job)).status_code in (200, 202)


@pytest.mark.parametrize("path", NO_QUERY)
def test_a_limit_that_would_be_ignored_is_refused(admin, nobody, agent, path):
    assert admin.get(path).status_code == 200
    refused = admin.get(f"{path}?limit=1")
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/limit")
    assert nobody.get(f"{path}?limit=1").status_code == 401


def test_the_openai_door_takes_whatever_query_a_client_adds(member, agent):
    assert member.get("/v1/models?api-version=2024-06-01").status_code == 200


def test_a_key_cannot_end_before_it_begins(admin):
    refused = admin.post("/keys", {"expires_at": rfc3339(utcnow() - timedelta(seconds=1))})
    assert refused.status_code == 422
    assert refused.json["errors"] == [{"pointer": "/expires_at", "detail": "lies in the past"}]


def test_nothing_has_no_type(admin, agent):
    gone = admin.delete(f"/agents/{agent}")
    assert (gone.status_code, gone.data) == (204, b"")
    assert "Content-Type" not in gone.headers


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/agents", {"name": "new"}),
        ("post", "/keys", {"role": "member"}),
        ("post", "/workspaces", {"name": "New", "id": "new"}),
        ("put", "/credentials/new", {"provider": "openai", "api_key": "sk-0123456789"}),
        ("post", "/agents/agent:demo/rotate-key", {}),
    ],
)
def test_what_was_made_is_where_its_location_says(admin, method, path, body):
    made = getattr(admin, method)(path, body)
    assert made.status_code == 201
    if not path.startswith("/workspaces"):
        found = admin.get(made.headers["Location"].removeprefix("/api/v1")).json
        assert {name: found[name] for name in ("id", "name") if name in made.json} == {
            name: made.json[name] for name in ("id", "name") if name in made.json
        }
    else:
        assert admin.patch(made.headers["Location"].removeprefix("/api/v1"), {}).status_code == 200


@pytest.mark.parametrize("grace", [3600, "3600", "60m", "1h"])
def test_a_grace_is_written_as_the_command_line_has_it(admin, agent, services, grace):
    first = admin.post(f"/agents/{agent}/rotate-key").json["id"]
    assert admin.post(f"/agents/{agent}/rotate-key", {"grace": grace}).status_code == 201
    left = services.db["keys"].find_one({"_id": first})["revoked_at"] - utcnow()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


@pytest.mark.parametrize("grace", ["soon", "1w", -1, "31d", True, 1.5])
def test_a_grace_that_is_none_is_refused(admin, agent, grace):
    refused = admin.post(f"/agents/{agent}/rotate-key", {"grace": grace})
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/grace")


@pytest.mark.parametrize("rule", ["none", "done", "7", "7d"])
def test_retention_is_written_with_or_without_its_unit(member, rule):
    assert member.post("/agents", {"name": "a", "content_retention": rule}).status_code == 201


def test_a_month_is_not_complete_before_it_is_over(member, services):
    month = f"{utcnow():%Y-%m}"
    later = f"{utcnow() + timedelta(days=60):%Y-%m}"
    for one in (month, later):
        assert member.get(f"/usage/statements/{one}").json["total"]["complete"] is False
    assert statements.compute(services.db, "default", "2025-01", {})["total"]["complete"] is True


@pytest.mark.parametrize(("ago", "past"), [(0, False), (15, False), (300, True)])
def test_the_next_run_lies_in_the_past_only_where_no_scheduler_runs(admin, services, ago, past):
    last = utcnow() - timedelta(seconds=ago)
    services.db.ticks.insert_one({"_id": "meter", "every_s": 1, "last_run": last, "duration_ms": 1})
    before = rfc3339(utcnow())
    (seen,) = admin.get("/scheduler").json["items"]
    assert (seen["next_run"] < before) == past
