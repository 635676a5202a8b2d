"""What every call keeps to that makes a job, at a door or in the API, as the app knows its routes."""

from __future__ import annotations

import pytest

from core.audit_log import KEPT_OF_JOBS
from tests.web_client import Client

API = "/api/v1"


@pytest.fixture
def posts(routes):
    """(rule, path, body) of each call that may make a job."""
    return [(rule.rule, path, body) for method, rule, path, body, _ in routes if method == "POST"]


@pytest.fixture
def doors(posts):
    """Those of the doors. The agent in their examples is the demo."""
    found = [post for post in posts if not post[0].startswith(API)]
    assert found
    return found


@pytest.mark.usefixtures("worked_on")
def test_a_door_says_which_job_it_made(member, doors, services):
    for n, (rule, path, body) in enumerate(doors, services.db.jobs.count_documents({}) + 1):
        answer = member.post(path, body)
        assert answer.status_code == 200, (rule, answer.text)
        assert services.db.jobs.count_documents({}) == n, rule
        assert services.db.jobs.find_one({"_id": answer.headers.get("X-Job-Id")}), f"{rule}: no X-Job-Id"


@pytest.mark.usefixtures("worked_on")
def test_a_repeated_idempotency_key_makes_no_second_job(admin, posts, services):
    made = []
    for rule, path, body in posts:
        before = services.db.jobs.count_documents({})
        tries = [admin.post(path, body, headers={"Idempotency-Key": "k1"}) for _ in range(2)]
        after = services.db.jobs.count_documents({})
        assert after - before <= 1, f"{rule} makes a job for each try"
        if after > before:
            made.append(rule)
            assert tries[0].status_code == tries[1].status_code, rule
    assert len(made) > 2


def test_to_a_key_of_another_agent_a_doors_agent_is_not_there(client_for, doors, services):
    before = services.db.jobs.count_documents({})
    for bound in (client_for("agent", agents=["another"]), client_for("member", agents=["another"])):
        for rule, path, body in doors:
            told = bound.post(path, body)
            assert told.status_code == 404, f"{rule}: see `work.agent_named` and `@access(agent=True)`"
    assert services.db.jobs.count_documents({}) == before


def test_a_door_tells_errors_in_its_own_format(app, doors):
    for rule, path, body in doors:
        answer = Client(app, None).post(path, body)
        assert answer.status_code == 401
        assert answer.mimetype != "application/problem+json", f"{rule} tells an error as the API does"


@pytest.mark.usefixtures("worked_on")
def test_what_made_a_job_is_written_down_together_with_others(member, posts, services, trail):
    """Not at once, and not for long: a chat should cost no further write."""
    for rule, path, body in posts:
        before = services.db.jobs.count_documents({})
        answer = member.post(path, body)
        if services.db.jobs.count_documents({}) == before or answer.status_code >= 300:
            continue
        trail.flush()
        entry = services.db.audit_log.find_one({"route": rule})
        assert entry["expires_at"] - entry["created_at"] == KEPT_OF_JOBS, rule


@pytest.mark.usefixtures("worked_on")
def test_an_idempotency_key_is_of_one_agent_and_one_api_key(admin, client_for, member):
    """A name that went to another agent meanwhile gives no job of the first, and no key another's job."""
    body = {"model": "agent:named", "messages": [{"role": "user", "content": "hi"}]}
    asked = {"headers": {"Idempotency-Key": "k1"}}

    def made(name):
        sandbox = {"provider": "sandbox"}
        return member.post("/agents", {"name": name, "llm_config": sandbox}).json["id"]

    def job(client):
        return client.post("/v1/chat/completions", body, **asked).headers["X-Job-Id"]

    first = made("named")
    jobs = [job(member), job(member), job(client_for("member")), job(client_for("agent", agents=[first]))]
    assert jobs[0] == jobs[1]
    assert len(set(jobs)) == 3
    member.patch(f"/agents/{first}", {"name": "before"})
    second = made("named")
    again = job(member)
    assert again not in jobs
    assert member.get(f"/jobs/{again}").json["agent_id"] == second


@pytest.mark.usefixtures("worked_on")
def test_a_key_bound_to_an_agent_repeats_its_own_requests_alone(agent, client_for, member):
    bound = client_for("agent", agents=[agent])
    asked = {"headers": {"Idempotency-Key": "k1"}}
    jobs = [
        c.post(f"/agents/{agent}/chat", {"message": "hi"}, **asked).json["id"] for c in (member, bound, bound)
    ]
    assert jobs[0] != jobs[1] == jobs[2]
