"""Tickets: for a minute, one job's events are open to a browser that sends no key."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from core.accounts import tickets
from core.clock import utcnow
from core.jobs import events
from core.jobs.claim import claim, finish
from tests.factory import queued
from tests.web_client import Client


@pytest.fixture
def done(services, agent):
    """The id of a job that has ended: its stream says so, and closes."""
    return ended(services, workspace_id="default", agent_id=agent)


def ended(services, **changes):
    job = claim(services.db, queued(services.db, **changes)["_id"], "p1")
    finish(services.db, job, status="succeeded", calls=[], result={})
    return job["_id"]


def ticket_of(client, job_id):
    answer = client.post(f"/jobs/{job_id}/ticket")
    assert answer.status_code == 201, answer.text
    return answer.json["ticket"]


def watch(client, job_id, ticket, road="events", query=(), **more):
    return client.get(f"/jobs/{job_id}/{road}", query_string={"ticket": ticket, **dict(query)}, **more)


@pytest.mark.parametrize("role", ["admin", "member", "viewer", "agent"])
def test_whoever_may_read_a_job_may_let_a_browser_watch_it_for_a_minute(
    client_for, services, nobody, agent, role
):
    client = client_for(role, agents=[agent] if role == "agent" else None)
    made_by = client.get("/keys/me").json["id"]
    job_id = ended(services, workspace_id="default", agent_id=agent, created_by=made_by)
    before = utcnow()
    made = client.post(f"/jobs/{job_id}/ticket").json
    left = datetime.fromisoformat(made["expires_at"]) - before
    assert timedelta(seconds=59) < left < timedelta(seconds=90)
    said = watch(nobody, job_id, made["ticket"])
    assert said.status_code == 200
    assert b"event: done" in said.data


@pytest.mark.parametrize(
    "last",
    [
        {"headers": {"Last-Event-ID": "1-1"}},
        {"query": {"last_event_id": "1-1"}},
        {"headers": {"Last-Event-ID": "1-1"}, "query": {"last_event_id": "1-0"}},
    ],
    ids=["by a browser", "by a program", "by a browser, of what a program had asked"],
)
def test_it_resumes_where_a_browser_was_cut_off(nobody, member, services, agent, last):
    job = claim(services.db, queued(services.db, workspace_id="default", agent_id=agent)["_id"], "p1")
    emitter = events.Emitter(services.redis, job["_id"], 1)
    for word in ("alpha", "beta"):
        emitter.emit("delta", {"type": "content", "content": word})
    finish(services.db, job, status="succeeded", calls=[], result={})
    said = watch(nobody, job["_id"], ticket_of(member, job["_id"]), **last)
    assert (b"alpha" in said.data, b"beta" in said.data) == (False, True)


def test_it_opens_the_websocket_too(nobody, member, done):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    ticket = ticket_of(member, done)
    assert (
        watch(nobody, done, ticket, "ws", headers=upgrade).status_code == 503
    )  # Flask's client has no socket
    assert watch(nobody, done, "x" + ticket, "ws", headers=upgrade).status_code == 401


def test_it_opens_nothing_else(nobody, member, services, routes, done):
    other = ended(services, workspace_id="default")
    assert watch(nobody, other, ticket_of(member, done)).status_code == 401
    for method, rule, path, body, says in routes:
        if not says.ticket:
            job_id = path.split("/")[4] if "job_id" in rule.arguments else done
            given = {"json": body} if body is not None else {}
            answer = nobody(method, path, query_string={"ticket": ticket_of(member, job_id)}, **given)
            assert answer.status_code == 401, f"{method} {rule.rule}"


@pytest.mark.parametrize("ticket", ["", "v1", "v1.a.b", "v2.0.0", "\N{SNOWMAN}" * 9, "a" * 10_000])
def test_what_is_none_opens_nothing(nobody, done, ticket):
    answer = watch(nobody, done, ticket)
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")


def test_one_that_has_expired_says_so(nobody, services, member, done):
    asking = tickets.Ticket(member.get("/keys/me").json["id"], "default")
    for seconds, status in ((59, 200), (60, 401)):
        text, _ = tickets.make(services.sealer, asking, done, utcnow() - timedelta(seconds=seconds))
        answer = watch(nobody, done, text)
        assert answer.status_code == status
    assert "expired" in answer.json["detail"]


def test_a_ticket_ends_with_the_key_that_asked_for_it(nobody, admin, member, done):
    ticket, key_id = ticket_of(member, done), member.get("/keys/me").json["id"]
    other = admin.post("/agents", {"name": "other"}).json["id"]
    admin.patch(f"/keys/{key_id}", {"agents": [other]})
    assert watch(nobody, done, ticket).status_code == 404
    admin.patch(f"/keys/{key_id}", {"agents": None})
    assert watch(nobody, done, ticket).status_code == 200
    admin.delete(f"/keys/{key_id}")
    assert watch(nobody, done, ticket).status_code == 401


def test_one_of_an_admin_in_another_workspace_is_for_that_one(nobody, admin, client_for, services):
    client_for("member", workspace="other")
    job_id = ended(services, workspace_id="other")
    admin.headers["X-Workspace"] = "other"
    assert watch(nobody, job_id, ticket_of(admin, job_id)).status_code == 200


def test_nobody_gets_one_for_a_job_that_is_not_theirs(client_for, services, done, agent):
    assert client_for("member", workspace="other").post(f"/jobs/{done}/ticket").status_code == 404
    assert client_for("agent", agents=[agent]).post(f"/jobs/{done}/ticket").status_code == 404


def test_its_use_counts_as_its_keys(app, client_for, done):
    client = client_for("member", rpm=2)
    ticket = ticket_of(client, done)
    statuses = [watch(Client(app, None), done, ticket).status_code for _ in range(2)]
    assert statuses == [200, 429]


def test_a_wrong_one_counts_as_a_wrong_key(app, nobody, done):
    app.extensions["vutler.failed_logins"].per_minute = 1
    assert [watch(nobody, done, "v1.a.b").status_code for _ in range(2)] == [401, 429]


def test_so_does_one_whose_key_has_ended(app, nobody, admin, member, done):
    ticket, key_id = ticket_of(member, done), member.get("/keys/me").json["id"]
    admin.delete(f"/keys/{key_id}")
    app.extensions["vutler.failed_logins"].per_minute = 1
    assert [watch(nobody, done, ticket).status_code for _ in range(2)] == [401, 429]
