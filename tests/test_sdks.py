"""The official OpenAI SDK, and other people's clients, through our door to a provider of ours."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
import requests

from tests.stack import ADMIN_KEY

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def agent(stack, obedient):
    return stack.agent("asked", f"{obedient}/v1")


@pytest.fixture(scope="module")
def sdk(stack):
    """A client as a user would make it; it tries nothing again unless a test says so."""
    with openai.OpenAI(
        api_key=ADMIN_KEY, base_url=f"http://127.0.0.1:{stack.port}/v1", max_retries=0
    ) as client:
        yield client


@pytest.fixture(scope="module")
def jobs(stack):
    """The jobs as the store keeps them."""
    with stack.database() as db:
        yield db.jobs


def user(text):
    return [{"role": "user", "content": text}]


def log(obedient):
    return requests.get(f"{obedient}/log", timeout=60).json()


def asked(obedient, text):
    """The bodies of the requests whose last message said this."""
    bodies = [request["body"] for request in log(obedient)["requests"]]
    return [body for body in bodies if body["messages"][-1]["content"] == text]


def test_it_completes(sdk, agent, stack):
    answer = sdk.chat.completions.with_raw_response.create(model=agent, messages=user("words=2"))
    said = answer.parse()
    assert said.choices[0].message.content == "word0 word1 "
    assert said.choices[0].finish_reason == "stop"
    assert (said.model, said.object) == (agent, "chat.completion")
    assert (said.usage.prompt_tokens, said.usage.completion_tokens, said.usage.total_tokens) == (12, 5, 17)
    assert answer.headers["x-request-id"] == said._request_id
    job = stack.job(answer.headers["x-job-id"])
    assert (job["status"], job["agent_id"]) == ("succeeded", agent)


def test_it_streams(sdk, agent):
    chunks = list(sdk.chat.completions.create(model="agent:asked", messages=user("words=5"), stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "word0 word1 word2 word3 word4 "
    assert [c.choices[0].finish_reason for c in chunks[-2:]] == [None, "stop"]
    assert len({chunk.id for chunk in chunks}) == 1


def test_words_arrive_one_by_one(sdk, agent, obedient):
    """The first word is there while the provider still thinks about the others."""
    ended = log(obedient)["streams_ended"]
    stream = sdk.chat.completions.create(model=agent, messages=user("words=20 pause=0.2"), stream=True)
    next(chunk for chunk in stream if chunk.choices[0].delta.content)
    assert log(obedient)["streams_ended"] == ended
    stream.close()


def test_the_last_chunk_holds_the_usage_when_it_was_asked_for(sdk, agent):
    chunks = list(
        sdk.chat.completions.create(
            model=agent, messages=user("words=4"), stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (12, 4)
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_it_calls_tools_and_takes_their_results(sdk, agent, obedient):
    messages = user("use the tool, please")
    said = sdk.chat.completions.create(model=agent, messages=messages, tools=[WEATHER]).choices[0]
    assert said.finish_reason == "tool_calls"
    (call,) = said.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Bern"})
    messages += [said.message, {"role": "tool", "tool_call_id": call.id, "content": "rain 7 C"}]
    after = sdk.chat.completions.create(model=agent, messages=messages, tools=[WEATHER]).choices[0]
    assert after.message.content == "the tool said rain 7 C"
    (body,) = asked(obedient, "rain 7 C")
    assert body["messages"][-2]["tool_calls"][0]["id"] == body["messages"][-1]["tool_call_id"] == call.id


def test_it_streams_tool_calls(sdk, agent):
    with sdk.chat.completions.stream(
        model=agent, messages=user("use the tool, in a stream"), tools=[WEATHER]
    ) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("call_1", "weather", '{"city": "Bern"}')
    assert final.choices[0].finish_reason == "tool_calls"


def test_the_agents_system_prompt_comes_first_unless_the_request_brings_one(sdk, stack, obedient):
    agent = stack.agent("prompted", f"{obedient}/v1")
    stack.http.patch(f"{stack.url}/agents/{agent}", json={"system_prompt": "You are Scout."})
    sdk.chat.completions.create(model=agent, messages=user("with the agent's prompt"))
    own = {"role": "system", "content": "You are mine."}
    sdk.chat.completions.create(model=agent, messages=[own, *user("with my own prompt")])
    (one,), (two,) = asked(obedient, "with the agent's prompt"), asked(obedient, "with my own prompt")
    assert one["messages"][0] == {"role": "system", "content": "You are Scout."}
    assert two["messages"][0] == own
    assert len(two["messages"]) == 2


def test_what_it_does_not_know_it_ignores(sdk, agent, obedient):
    said = sdk.chat.completions.create(
        model=agent,
        messages=user("with fields of tomorrow"),
        top_logprobs=3,
        extra_body={"a_field_of_tomorrow": {"deep": [1]}},
    )
    assert said.choices[0].message.content
    (body,) = asked(obedient, "with fields of tomorrow")
    assert "a_field_of_tomorrow" not in body


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_a_providers_refusal_is_the_exception_that_openais_would_be(sdk, agent, status, raised, stream):
    text = f"status={status} asked with stream={stream}"
    with pytest.raises(raised) as caught:
        sdk.chat.completions.create(model=agent, messages=user(text), stream=stream)
    assert caught.value.message
    assert caught.value.response.headers["x-job-id"]


def test_a_provider_that_refuses_its_key_does_not_make_the_caller_replace_theirs(sdk, agent):
    with pytest.raises(openai.APIStatusError) as caught:
        sdk.chat.completions.create(model=agent, messages=user("status=401"))
    assert (caught.value.status_code, caught.value.code) == (424, "provider_key_refused")


def test_our_own_refusals_are_openais_exceptions_too(sdk, agent):
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.chat.completions.create(model="agent:nobody", messages=user("hello"))
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError):
        sdk.with_options(api_key="wrong").chat.completions.create(model=agent, messages=user("hello"))
    with pytest.raises(openai.BadRequestError) as wrong:
        sdk.chat.completions.create(model=agent, messages=user("hello"), temperature=9)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.BadRequestError):
        sdk.chat.completions.create(model=agent, messages=user("hello"), n=2)


def test_a_stream_that_breaks_off_raises_and_the_job_keeps_what_was_said(sdk, agent, stack):
    answer = sdk.chat.completions.with_raw_response.create(
        model=agent, messages=user("words=9 cut=4 pause=0.02"), stream=True
    )
    chunks = []
    with pytest.raises(openai.APIError) as broken:
        chunks.extend(answer.parse())
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == "word0 word1 word2 word3 "
    assert broken.value.code == "stream_broken"
    job = stack.job(answer.headers["x-job-id"])
    assert (job["status"], job["result"]["partial"]) == ("failed", True)
    assert job["result"]["message"]["content"] == said


def test_agents_are_models(sdk, agent):
    listed = sdk.models.list()
    assert "agent:asked" in [model.id for model in listed]
    assert sdk.models.retrieve(agent).id == sdk.models.retrieve("agent:asked").id == "agent:asked"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("agent:nobody")


def test_it_tries_again_by_itself_after_a_busy_provider(sdk, agent, jobs):
    """A job that failed is not joined: each try of the SDK is a job of its own."""
    with pytest.raises(openai.InternalServerError):
        sdk.with_options(max_retries=1).chat.completions.create(
            model=agent, messages=user("status=503 twice")
        )
    tried = [
        j for j in jobs.find({"agent_id": agent}) if j["request"]["messages"] == user("status=503 twice")
    ]
    assert len(tried) == 2


def test_a_crash_of_the_web_process_goes_unnoticed(sdk, agent, stack, jobs, obedient):
    """kill -9 in the midst of a request: the SDK's silent second try joins the job."""
    text = "delay=4 words=1 while the web process dies"
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(
            sdk.with_options(max_retries=8).chat.completions.create, model=agent, messages=user(text)
        )
        stack.until(lambda: asked(obedient, text), "the provider was asked")
        gunicorn = stack.pids("gunicorn", "web.main")
        stack.kill_one(gunicorn[-1])
        assert asking.result(60).choices[0].message.content == "word0 "
    assert len(asked(obedient, text)) == 1
    assert len([j for j in jobs.find({"agent_id": agent}) if j["request"]["messages"] == user(text)]) == 1
