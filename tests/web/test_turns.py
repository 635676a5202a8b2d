"""An answer of ours comes back in the next turn, as it was given."""

from __future__ import annotations

import pytest
from openai.types.chat import ChatCompletion

from core.clock import utcnow
from core.llm.wire import WIRES
from tests.core.llm.wire.replay import ANSWERS
from web.doors.openai import shape as openai_shape

USAGE = {"tokens_input": 9, "tokens_output": 5, "tokens_total": 14, "tokens_cached": 0, "tokens_reasoning": 0}


def completion(message, finish_reason):
    result = {"message": message, "finish_reason": finish_reason, "usage": USAGE}
    return openai_shape.completion({"_id": "a-job", "created_at": utcnow(), "result": result}, "agent:demo")


@pytest.mark.parametrize("exchange", ANSWERS.values(), ids=ANSWERS)
def test_every_vendors_answer_is_a_completion_to_the_openai_sdk(exchange):
    message, finish_reason, *_ = WIRES[exchange["wire"]].from_wire(exchange["body"])
    known = ChatCompletion.model_validate(completion(message, finish_reason)).choices[0]
    assert (known.message.content, known.finish_reason) == (message["content"], finish_reason)
    assert known.message.model_extra.get("thinking_blocks") == message.get("thinking_blocks")


@pytest.mark.parametrize("exchange", ANSWERS.values(), ids=ANSWERS)
def test_every_vendors_answer_can_be_sent_back_as_it_came(member, agent, sent, services, exchange):
    message = WIRES[exchange["wire"]].from_wire(exchange["body"])[0]
    said = [{"role": "user", "content": "Hello"}, message, {"role": "user", "content": "And now?"}]
    job = member.post(f"/agents/{agent}/chat", {"messages": said}).json
    kept = services.db.jobs.find_one({"_id": job["id"]})["request"]["messages"][1]
    assert kept == {name: value for name, value in message.items() if name in kept}
    assert {name for name, value in message.items() if value is not None} <= set(kept)
