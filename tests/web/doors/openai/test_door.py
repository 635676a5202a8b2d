"""The OpenAI door without its workers: second tries, refusals, models. With them: tests/test_sdks.py."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from core.clock import utcnow
from core.errors import Invalid, JobFailed, Problem, StorageAway
from core.jobs import claim, control, signals
from core.metering.budget import OverLimit
from tests.web_client import Client
from web.app import create_app
from web.doors.openai import second_tries

HELLO = {"model": "agent:scout", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def ask(member, agent):
    """A try of the SDK's, the first or a later one; nobody answers, so it waits in vain."""

    def ask(tries=0, body=None, client=member):
        headers = {second_tries.COUNT: str(tries)}
        answer = client.post("/v1/chat/completions", body or HELLO, headers=headers)
        assert answer.status_code == 503, answer.text

    return ask


@pytest.fixture
def jobs(services):
    return services.db.jobs


def count(jobs):
    return jobs.count_documents({})


def test_a_second_try_joins_the_job_in_flight(ask, jobs):
    for tries in range(3):
        ask(tries)
    assert count(jobs) == 1


def test_second_tries_at_once_make_one_job_though_the_first_never_arrived(ask, jobs):
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(ask, [1] * 20))
    assert count(jobs) == 1


def test_to_ask_the_same_twice_is_two_jobs(ask, jobs):
    ask()
    ask()
    assert count(jobs) == 2


def test_a_second_try_gets_the_answer_of_a_job_that_ended_meanwhile(ask, jobs, member, services):
    ask()
    job = claim.claim(services.db, jobs.find_one()["_id"], "p1")
    said = {"role": "assistant", "content": "hi", "tool_calls": None}
    usage = dict.fromkeys(
        ("tokens_input", "tokens_output", "tokens_total", "tokens_cached", "tokens_reasoning"), 1
    )
    result = {"message": said, "finish_reason": "stop", "usage": usage}
    claim.finish(services.db, job, status="succeeded", calls=[], result=result)
    answer = member.post("/v1/chat/completions", HELLO, headers={second_tries.COUNT: "1"})
    assert answer.json["choices"][0]["message"]["content"] == "hi"
    assert answer.headers["X-Job-Id"] == job["_id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failed"},
        {"status": "cancelled"},
        {"status": "running", "cancel_requested": True, "fence": "t", "owner": "p1"},
        {"created_at": utcnow() - timedelta(minutes=11)},
    ],
)
@pytest.mark.parametrize("before", [0, 1])
def test_a_job_that_ended_badly_or_long_ago_is_not_joined(ask, jobs, before, changes):
    ask(before)
    jobs.update_one({}, {"$set": changes})
    ask(1)
    ask(2)
    assert count(jobs) == 2


def test_a_second_try_joins_no_job_that_is_cancelled_just_now(
    ask, jobs, services, watcher, member, meanwhile
):
    ask()
    job = claim.claim(services.db, jobs.find_one()["_id"], "p1")
    meanwhile.before("update", "jobs", lambda: control.cancel(services.db, services.redis, job))
    behind = create_app(replace(services, mongo=meanwhile.db.client), watcher)
    ask(1, client=Client(behind, None, **member.headers))
    assert count(jobs) == 2


def test_another_body_or_another_key_joins_nothing(ask, jobs, client_for):
    ask()
    ask(1, {**HELLO, "temperature": 1})
    ask(1, client=client_for("member"))
    assert count(jobs) == 3


def test_the_client_of_an_earlier_try_leaves_without_cancelling(app, ask, jobs, services):
    ask()
    job_id = jobs.find_one()["_id"]
    ask(1)
    second_tries.leave(services, job_id, None)
    assert jobs.find_one()["status"] == "queued"
    second_tries.leave(services, job_id, jobs.find_one()["attached"])
    assert jobs.find_one()["status"] == "cancelled"


OVER = OverLimit("used up", limit=1.0, used=1.0, unit="usd", resets_at=utcnow())


@pytest.mark.parametrize(
    ("failure", "status", "again"),
    [
        (OVER, 402, None),
        (Invalid("set a price", code="price_unknown"), 400, None),
        (StorageAway(), 503, None),
        (JobFailed("of ours", code="internal"), 500, None),
        (JobFailed("it stood still", code="worker_stuck"), 500, "false"),
        (JobFailed("its worker died", code="worker_lost"), 500, "false"),
        (JobFailed("too large", code="not_storable"), 500, "false"),
        (JobFailed("another SECRET_KEY", code="cannot_open_key"), 500, "false"),
    ],
    ids=lambda value: value.code if isinstance(value, Problem) else "",
)
@pytest.mark.parametrize("stream", [False, True])
def test_how_a_job_failed_says_whether_an_sdk_asks_again(
    member, agent, services, failure, status, again, stream
):
    def carry_out(sent):
        job = claim.claim(services.db, sent["_id"], "p1")
        claim.finish(services.db, job, status="failed", calls=[], error=failure.as_dict())
        signals.publish(services.redis, signals.CHANGED, sent["_id"])

    services.send = carry_out
    answer = member.post("/v1/chat/completions", {**HELLO, "stream": stream})
    assert (answer.status_code, answer.headers.get("x-should-retry")) == (status, again)
    assert answer.json["error"]["code"] == failure.code


def test_refusals_have_openais_shape(member, nobody, agent):
    unknown = member.post("/v1/chat/completions", {**HELLO, "model": "agent:nobody"})
    assert (unknown.status_code, unknown.json["error"]["code"]) == (404, "model_not_found")
    wrong = member.post("/v1/chat/completions", {**HELLO, "messages": [{"role": "king"}]})
    assert (wrong.status_code, wrong.json["error"]["param"]) == (400, "messages.0.role")
    assert wrong.json["error"]["type"] == "invalid_request_error"
    keyless = nobody.post("/v1/chat/completions", HELLO)
    assert (keyless.status_code, keyless.json["error"]["type"]) == (401, "authentication_error")
    broken = member.post("/v1/chat/completions", data="{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", "1"),
        ("max_tokens", "5"),
        ("max_completion_tokens", 5.0),
        ("stream", "true"),
        ("stream", 1),
        ("logprobs", "yes"),
        ("seed", "1"),
        ("n", "1"),
        ("stream_options", {"include_usage": "yes"}),
    ],
)
def test_a_value_of_another_type_is_refused_as_by_the_api(member, agent, services, field, value):
    told = member.post("/v1/chat/completions", {**HELLO, field: value})
    assert (told.status_code, told.json["error"]["param"].partition(".")[0]) == (400, field)
    assert services.db.jobs.count_documents({}) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"messages": [{"role": "user"}]}, "messages.0 a message needs `content`"),
        ({"n": 2}, "only one choice can be asked for"),
        ({"functions": []}, "`functions` is not offered here: use `tools`"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_what_is_wrong_is_said_once(member, agent, wrong, message):
    told = member.post("/v1/chat/completions", {**HELLO, **wrong})
    assert (told.status_code, told.json["error"]["message"]) == (400, message)


def test_a_client_that_says_neither_that_it_leaves_nor_that_it_stays_is_refused(member, agent, services):
    told = member.post("/v1/chat/completions", HELLO, headers={"X-Detach": "zz"})
    assert (told.status_code, "X-Detach" in told.json["error"]["message"]) == (400, True)
    assert services.db.jobs.count_documents({}) == 0


def test_a_key_of_one_agent_sees_and_asks_that_one_alone(client_for, member, agent):
    member.post("/agents", {"name": "other", "llm_config": {"provider": "sandbox"}})
    member.post("/agents", {"name": "without a provider"})
    ids = {model["id"] for model in member.get("/v1/models").json["data"]}
    assert ids == {"agent:scout", "agent:other", "agent:demo"}
    bound = client_for("agent", agents=[agent])
    assert [model["agent_id"] for model in bound.get("/v1/models").json["data"]] == [agent]
    assert bound.get("/v1/models/agent:scout").json["agent_id"] == agent
    assert bound.get("/v1/models/agent:other").status_code == 404
    assert bound.post("/v1/chat/completions", {**HELLO, "model": "agent:other"}).status_code == 404
    assert client_for("viewer").post("/v1/chat/completions", HELLO).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/responses", 404, "unknown_url"),
        ("POST", "/v1/embeddings", 404, "unknown_url"),
        ("GET", "/v1", 404, "unknown_url"),
        ("DELETE", "/v1/", 404, "unknown_url"),
        ("GET", "/v1/chat/completions", 405, "method_not_supported"),
        ("POST", "/v1/models", 405, "method_not_supported"),
    ],
)
def test_what_is_not_there_is_told_in_openais_shape_and_what_is_there_is_named(
    member, nobody, method, path, status, code
):
    for client in (member, nobody):
        told = client(method, path)
        assert (told.status_code, told.json["error"]["code"]) == (status, code)
        assert told.json["error"]["type"] == "invalid_request_error"
        assert f"{method} {path} " in told.json["error"]["message"]
        assert "POST /v1/chat/completions" in told.json["error"]["message"]
        assert ("Allow" in told.headers) == (status == 405)


def test_paths_that_only_begin_like_the_doors_are_not_the_doors(app):
    for path in ("/v1x", "/v11/models", "/api/v1/nothing"):
        assert app.test_client().get(path).mimetype == "application/problem+json"


@pytest.mark.parametrize("name", ["functions", "function_call"])
def test_functions_are_refused_by_name(member, agent, services, name):
    told = member.post("/v1/chat/completions", {**HELLO, name: [{"name": "look"}]})
    assert (told.status_code, told.json["error"]["param"]) == (400, name)
    assert "use `tool" in told.json["error"]["message"]
    assert services.db.jobs.count_documents({}) == 0


def test_metadata_is_the_jobs(member, agent, services, worked_on):
    told = member.post("/v1/chat/completions", {**HELLO, "metadata": {"order": "7"}})
    assert "X-Ignored" not in told.headers
    assert services.db.jobs.find_one({"_id": told.headers["X-Job-Id"]})["metadata"] == {"order": "7"}


def test_a_model_is_an_agents_name_and_both_it_and_the_id_are_understood(member, agent, worked_on):
    listed = {model["id"]: model["agent_id"] for model in member.get("/v1/models").json["data"]}
    assert listed["agent:scout"] == agent
    for model in ("agent:scout", agent):
        assert member.get(f"/v1/models/{model}").json["id"] == "agent:scout"
        told = member.post("/v1/chat/completions", {**HELLO, "model": model})
        assert (told.status_code, told.json["model"]) == (200, model)


def test_an_agent_that_is_not_to_be_run_again_is_not_because_it_streams(jobs, member, agent, worked_on):
    assert member.patch(f"/agents/{agent}", {"on_worker_loss": "fail"}).status_code == 200
    assert member.post("/v1/chat/completions", {**HELLO, "stream": True}).status_code == 200
    assert jobs.find_one()["plan"]["on_worker_loss"] == "fail"


def test_a_second_try_in_another_workspace_joins_nothing(app, admin, agent, jobs, client_for):
    """An administrator's key is the same everywhere, and so may the names of agents be."""
    client_for("member", workspace="other")
    both = [Client(app, None, **admin.headers, **{"X-Workspace": name}) for name in ("default", "other")]
    sandboxed = {"name": "scout", "llm_config": {"provider": "sandbox"}}
    assert both[1].post("/agents", sandboxed).status_code == 201
    for tries, client in enumerate(both):
        client.post("/v1/chat/completions", HELLO, headers={second_tries.COUNT: str(tries)})
    assert sorted(job["workspace_id"] for job in jobs.find()) == ["default", "other"]


def test_the_job_of_a_client_that_hangs_up_is_cancelled(member, agent, jobs):
    ours, theirs = socket.socketpair()
    theirs.close()
    with closing(ours):
        gone = {"gunicorn.socket": ours}
        answer = member.post("/v1/chat/completions", HELLO, environ_overrides=gone)
    assert answer.status_code == 503
    assert jobs.find_one()["status"] == "cancelled"
