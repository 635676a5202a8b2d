"""Which of OpenAI's APIs a call speaks: by its model, by its user's word, by OpenAI's own."""

from __future__ import annotations

import pytest

from core.agents import agent_config
from core.config import Settings
from core.errors import Invalid
from core.llm import families, plan, router
from core.llm.failures import ProviderRefused
from core.llm.transport import provider_transport
from tests.core.llm.wire.replay import EXCHANGES, target
from tests.factory import asking
from tests.providers.scripted import answering, provider, streaming

ASKED = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
NEEDS_RESPONSES = EXCHANGES["openai-error-tools-and-effort"]["body"]
NEEDS_CHAT = {
    "error": {"message": "This model is only supported in v1/chat/completions and not in v1/responses."}
}
CHAT = answering(EXCHANGES["openai-plain"]["body"])
RESPONSE = answering(EXCHANGES["responses-plain"]["body"])


@pytest.fixture(autouse=True)
def nothing_heard():
    families._heard.clear()
    yield
    families._heard.clear()


@pytest.fixture
def transport():
    made = provider_transport(Settings())
    yield made
    made.close()


def spoken(model, effort=None, tools=(TOOL,), **more):
    asked = {"tools": list(tools), "reasoning_effort": effort}
    request = asking(ASKED, **{name: value for name, value in asked.items() if value})
    return families.spoken(target(model=model, **more), request).wire


@pytest.mark.parametrize(
    ("model", "wires"),
    # without tools; with tools; with tools and the effort none; with tools and the effort low
    [
        ("gpt-4o-mini", "cccc"),
        ("gpt-5", "cccc"),
        ("gpt-5.3", "cccc"),
        ("gpt-5.4", "cccr"),
        ("gpt-5.4-mini-2026-03-17", "cccr"),
        ("gpt-5.5", "cccr"),
        ("gpt-5.6", "crcr"),
        ("gpt-5.6-terra", "crcr"),
        ("ft:gpt-5.6-terra:acme::x", "crcr"),
        ("gpt-5.10", "crcr"),
        ("gpt-6-astra", "crcr"),
        ("gpt-10", "crcr"),
        ("o3", "cccc"),
        ("ft:gpt-4o-mini:acme-pro::x", "cccc"),
        ("codex-mini-latest", "rrrr"),
        ("o3-pro", "rrrr"),
        ("gpt-5.4-pro-2026-03-05", "rrrr"),
        ("gpt-5.1-codex-max", "rrrr"),
        ("o4-mini-deep-research", "rrrr"),
        ("computer-use-preview", "rrrr"),
        ("gpt-6-cyber", "rrrr"),
    ],
)
def test_a_model_is_spoken_to_where_it_can_be(model, wires):
    found = [
        spoken(model, tools=()),
        spoken(model),
        spoken(model, "none"),
        spoken(model, "low"),
    ]
    assert "".join({"openai": "c", "responses": "r"}[wire] for wire in found) == wires


def test_what_a_user_says_and_a_custom_endpoint_are_left_as_they_are():
    assert spoken("gpt-5.6", wire_given=True) == "openai"
    assert spoken("gpt-4o", wire="responses", wire_given=True) == "responses"
    assert spoken("gpt-5.6", key_kind="custom") == "openai"
    assert spoken("gpt-5.6", provider="minimax") == "openai"
    assert spoken("gpt-5.6", key_kind="managed") == "responses"


def apis(one):
    return [received.path.rsplit("/", 1)[1] for received in one.received]


def ask(transport, to, **asked):
    calls = []
    request = asking(ASKED, **asked)
    answer = router.run(request, [to], transport=transport, calls=calls, sleep=lambda seconds: None)
    return answer, [call["outcome"] for call in calls]


def test_a_refusal_is_the_last_word_and_is_remembered_for_that_model(transport):
    with provider(answering(NEEDS_RESPONSES, 400), RESPONSE) as one:
        to = target(model="gpt-4o", base_url=one.url)
        answer, outcomes = ask(transport, to, tools=[TOOL])
        assert answer.message["content"] == "Hello! How can I help?"
        assert outcomes == ["provider_refused", "ok"]
        assert ask(transport, to, tools=[TOOL])[1] == ["ok"]
        assert apis(one) == ["completions", "responses", "responses"]
        one.says(CHAT)
        ask(transport, to)
        ask(transport, target(model="gpt-4.1", base_url=one.url), tools=[TOOL])
        assert apis(one) == ["completions", "completions"]


def test_it_works_in_the_other_direction_too(transport):
    with provider(answering(NEEDS_CHAT, 404), CHAT) as one:
        _, outcomes = ask(transport, target(model="gpt-5.6", base_url=one.url), tools=[TOOL])
    assert outcomes == ["provider_refused", "ok"]
    assert apis(one) == ["responses", "completions"]


def test_a_model_that_both_refuse_is_refused(transport):
    calls = []
    with provider(answering(NEEDS_RESPONSES, 400), answering(NEEDS_CHAT, 404)) as one:
        to = target(model="gpt-4o", base_url=one.url)
        with pytest.raises(ProviderRefused, match="only supported in v1/chat/completions"):
            router.run(asking(ASKED, tools=[TOOL]), [to], transport=transport, calls=calls)
    assert len(calls) == 2


@pytest.mark.parametrize("given", [{"key_kind": "custom"}, {"wire_given": True}])
def test_nobody_else_is_asked_by_another_api(given):
    open_here = provider_transport(Settings(custom_endpoint_allow="127.0.0.1"))
    with provider(answering(NEEDS_RESPONSES, 400)) as one, pytest.raises(ProviderRefused):
        ask(open_here, target(base_url=one.url, **given), tools=[TOOL])
    open_here.close()
    assert apis(one) == ["completions"]


def test_a_refusal_for_another_reason_is_one(transport):
    refusal = answering(EXCHANGES["openai-error-model"]["body"], 404)
    with provider(refusal) as one, pytest.raises(ProviderRefused):
        ask(transport, target(base_url=one.url), tools=[TOOL])
    assert apis(one) == ["completions"]


def test_no_other_provider_has_a_wire_to_choose():
    with pytest.raises(Invalid) as refused:
        plan.check(
            {**agent_config.EMPTY, "provider": "anthropic", "wire": "chat", "sealed_key": True}, Settings()
        )
    assert refused.value.errors[0]["pointer"] == "/wire"


@pytest.mark.parametrize("name", ["responses-tools", "responses-stream-tools"])
def test_a_tools_result_goes_back_with_the_reasoning_that_asked_for_it(transport, name):
    exchange = EXCHANGES[name]
    streamed = "stream" in exchange
    raw = ("\n".join(exchange["stream"]) + "\n").encode() if streamed else b""
    first = (
        streaming(*(raw[at : at + 7] for at in range(0, len(raw), 7)))
        if streamed
        else answering(exchange["body"])
    )
    with provider(first, RESPONSE) as one:
        to = target(model="gpt-5.6-terra", base_url=one.url)
        said, _ = ask(transport, to, tools=[TOOL], stream=streamed)
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "Sunny."}
            for call in said.message["tool_calls"]
        ]
        request = asking([*ASKED, said.message, *results], tools=[TOOL])
        answer = router.run(request, [to], transport=transport, calls=[])
    assert (said.finish_reason, answer.finish_reason) == ("tool_calls", "stop")
    sent = one.received[1].body
    assert (sent["store"], sent["include"]) == (False, ["reasoning.encrypted_content"])
    output = EXCHANGES["responses-tools"]["body"]["output"]
    assert [item["type"] for item in sent["input"][1:6]] == [item["type"] for item in output]
    assert [item for item in sent["input"] if item.get("type") == "reasoning"] == [output[0], output[3]]
    assert [item["call_id"] for item in sent["input"][6:]] == ["call_a", "call_b"]
