"""What becomes of each field of messages, tools and formats: sent, refused, or it asks for nothing."""

from __future__ import annotations

import json

import pytest

from core.llm.failures import ProviderRefused
from core.llm.unsaid import AS_ANSWERED
from core.llm.wire import WIRES
from tests.core.llm.wire.replay import CLAUDE, GPT, GROQ, RESPONSES
from tests.factory import asking

TARGETS = {"openai": GPT, "groq": GROQ, "anthropic": CLAUDE, "responses": RESPONSES}
MARK = "w0rd"
"""Stands in the value of each field: what is sent holds it."""
CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
TURN = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
PDF = f"data:application/pdf;base64,{MARK}"
IMAGE = {"url": "https://example.com/cat.png"}


def user(**more):
    return [{"role": "user", "content": "Hello", **more}]


def part(**given):
    return user(content=[{"type": "text", "text": "Look"}, given])


def assistant(**more):
    return [*user(), {"role": "assistant", "content": "Hi", **more}, *user()]


def schema(**more):
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, **more}},
        "messages": user(),
    }


def wanted(**more):
    return {**schema(), "response_format": {**schema()["response_format"], **more}}


def tool(kept=None, **more):
    """A request with a tool whose function has `more`, and which itself has `kept`."""
    function = {"name": "now", "parameters": {"type": "object"}, **more}
    return {"tools": [{"type": "function", "function": function, **(kept or {})}], "messages": user()}


def choice(chosen):
    return {**tool(), "tool_choice": chosen}


def allowed(*tools, **more):
    return choice({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": list(tools), **more}})


NOW = {"type": "function", "function": {"name": "now"}}
NAMED = {"type": "function", "function": {"name": MARK}}
OF_TOMORROW = {"name": "now", "tomorrow": MARK}
PLACE = r"messages\[|tools\[|tool_choice|response_format"
SENT = dict.fromkeys(TARGETS, "sent")
TRANSLATORS_REFUSE = SENT | {"anthropic": "refused", "responses": "refused"}
# what is asked, and what becomes of it
FIELDS = {
    "content": (user(content=MARK), SENT),
    "text": (part(type="text", text=MARK), SENT),
    "name": (user(name=MARK), TRANSLATORS_REFUSE | {"groq": "refused"}),
    "name of the system": (
        [{"role": "system", "content": "Be brief.", "name": MARK}, *user()],
        TRANSLATORS_REFUSE | {"groq": "refused"},
    ),
    "name of an assistant": (assistant(name=MARK), TRANSLATORS_REFUSE | {"groq": "refused"}),
    "name of a result": (
        [*TURN, {"role": "tool", "tool_call_id": "call_1", "content": "4", "name": MARK}],
        {"openai": "sent", "groq": "nothing", "anthropic": "nothing", "responses": "nothing"},
    ),
    "content of a result": ([*TURN, {"role": "tool", "tool_call_id": "call_1", "content": MARK}], SENT),
    "refusal": (assistant(content=None, refusal=MARK), SENT),
    "audio": (assistant(audio={"id": MARK}), TRANSLATORS_REFUSE),
    "audio of an answer": (assistant(audio={"id": "a", "data": MARK}), dict.fromkeys(TARGETS, "nothing")),
    "function_call": (assistant(function_call={"name": MARK, "arguments": "{}"}), TRANSLATORS_REFUSE),
    "a field of tomorrow": (user(tomorrow=MARK), TRANSLATORS_REFUSE),
    "url": (part(type="image_url", image_url={"url": f"https://example.com/{MARK}"}), SENT),
    "detail": (part(type="image_url", image_url={**IMAGE, "detail": MARK}), SENT | {"anthropic": "refused"}),
    "file_data": (part(type="file", file={"file_data": PDF}), SENT),
    "filename": (part(type="file", file={"file_data": PDF, "filename": MARK}), SENT),
    "file_id": (part(type="file", file={"file_id": MARK}), SENT | {"anthropic": "refused"}),
    "input_audio": (part(type="input_audio", input_audio={"data": MARK}), TRANSLATORS_REFUSE),
    "a part's field of tomorrow": (part(type="text", text="x", tomorrow=MARK), TRANSLATORS_REFUSE),
    "an image's field of tomorrow": (
        part(type="image_url", image_url={**IMAGE, "tomorrow": MARK}),
        TRANSLATORS_REFUSE,
    ),
    "a file's field of tomorrow": (
        part(type="file", file={"file_data": PDF, "tomorrow": MARK}),
        TRANSLATORS_REFUSE,
    ),
    "description of a schema": (schema(description=MARK), SENT),
    "name of a schema": (schema(name=MARK), SENT | {"anthropic": "nothing"}),
    "a schema": (schema(schema={"type": "object", "title": MARK}), SENT),
    "a schema's field of tomorrow": (schema(tomorrow=MARK), TRANSLATORS_REFUSE),
    "a schema's type": (schema(type=MARK), TRANSLATORS_REFUSE),
    "a schema's odd strict": (schema(strict=MARK), TRANSLATORS_REFUSE),
    "a format's field of tomorrow": (wanted(tomorrow=MARK), TRANSLATORS_REFUSE),
    "name of a tool": (tool(name=MARK), SENT),
    "description of a tool": (tool(description=MARK), SENT),
    "parameters of a tool": (tool(parameters={"type": "object", "title": MARK}), SENT),
    "a tool's field of tomorrow": (tool({"tomorrow": MARK}), TRANSLATORS_REFUSE),
    "a function's field of tomorrow": (tool(tomorrow=MARK), TRANSLATORS_REFUSE),
    "a tool of another type": (tool({"type": MARK}), TRANSLATORS_REFUSE),
    "a tool's odd description": (tool(description=[MARK]), TRANSLATORS_REFUSE),
    "a tool's odd parameters": (tool(parameters=[MARK]), TRANSLATORS_REFUSE),
    "a tool's odd strict": (tool(strict=MARK), TRANSLATORS_REFUSE),
    "a tool's examples": (tool({"input_examples": [{"zone": MARK}]}), SENT | {"responses": "refused"}),
    "a function's examples": (tool(input_examples=[{"zone": MARK}]), SENT | {"responses": "refused"}),
    "a tool's way to stream": (tool({"eager_input_streaming": MARK}), SENT | {"responses": "refused"}),
    "a choice": (choice(NAMED), SENT),
    "a word for a choice": (choice(MARK), SENT | {"anthropic": "refused"}),
    "a choice of another type": (choice({**NAMED, "type": "custom"}), TRANSLATORS_REFUSE),
    "a choice's field of tomorrow": (choice({**NOW, "tomorrow": MARK}), TRANSLATORS_REFUSE),
    "a chosen function's field of tomorrow": (choice({**NOW, "function": OF_TOMORROW}), TRANSLATORS_REFUSE),
    "tools that are allowed": (allowed(NAMED), SENT | {"anthropic": "refused"}),
    "an allowed tool's field of tomorrow": (allowed({**NOW, "tomorrow": MARK}), TRANSLATORS_REFUSE),
    "an allowed tool that is none": (allowed(NOW, MARK), TRANSLATORS_REFUSE),
    "allowed tools' field of tomorrow": (allowed(NOW, tomorrow=MARK), TRANSLATORS_REFUSE),
}
CASES = [(name, wire) for name, (_, becomes) in FIELDS.items() for wire in becomes]


def sent(asked, to):
    given = asked if isinstance(asked, dict) else {"messages": asked}
    return json.dumps(WIRES[TARGETS[to].wire].to_wire(asking(**given), TARGETS[to]))


@pytest.mark.parametrize(("name", "to"), CASES)
def test_a_field_is_sent_or_refused_by_its_name(name, to):
    asked, becomes = FIELDS[name]
    if becomes[to] == "refused":
        with pytest.raises(ProviderRefused, match=PLACE):
            sent(asked, to)
    else:
        assert (MARK in sent(asked, to)) == (becomes[to] == "sent")


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("nothing", [None, "", [], {}, False])
def test_a_value_that_asks_for_nothing_is_refused_nowhere(nothing, to):
    assert sent(assistant(audio=nothing, tomorrow=nothing), to)


@pytest.mark.parametrize("to", ["anthropic", "responses"])
@pytest.mark.parametrize("something", [True, 0])
def test_a_value_that_is_not_nothing_asks_for_something(something, to):
    with pytest.raises(ProviderRefused, match="tomorrow"):
        sent(assistant(tomorrow=something), to)


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("nothing", [None, "", [], {}, False])
def test_nor_is_one_of_a_tool_or_a_format(nothing, to):
    odd = {"tomorrow": nothing, "strict": nothing}
    asked = {**tool({"tomorrow": nothing}, **odd), **schema(**odd)}
    assert sent({**asked, "tool_choice": {**NOW, "tomorrow": nothing}}, to)


@pytest.mark.parametrize("to", TARGETS)
def test_a_strict_tool_is_strict_everywhere(to):
    assert '"strict": true' in sent(tool(strict=True), to)


@pytest.mark.parametrize("to", TARGETS)
def test_an_image_without_a_wish_for_its_detail_is_refused_nowhere(to):
    assert sent(part(type="image_url", image_url={**IMAGE, "detail": "auto"}), to)


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("name", sorted(AS_ANSWERED))
def test_what_an_answer_carried_may_come_back(name, to):
    assert sent(assistant(**{name: [{"type": "x"}]}), to)


def test_a_refusal_says_the_name_and_the_place():
    with pytest.raises(
        ProviderRefused, match=r"Anthropic has no `name` there: leave it out of messages\[0\]"
    ):
        sent(user(name="ada"), "anthropic")
    with pytest.raises(ProviderRefused, match=r"leave `name` out of messages\[2\]"):
        sent([*user(), *user(), *user(name="ada")], "groq")


def test_it_says_so_of_a_tool_and_a_format():
    with pytest.raises(
        ProviderRefused, match=r"has no `tomorrow` there: leave it out of tools\[0\].function"
    ):
        sent(tool(tomorrow=MARK), "anthropic")
    with pytest.raises(ProviderRefused, match=r"takes no such `strict` as that of tools\[0\].function"):
        sent(tool(strict=MARK), "responses")
    with pytest.raises(ProviderRefused, match=r"leave it out of response_format.json_schema"):
        sent(schema(tomorrow=MARK), "responses")


def test_a_schemas_own_description_stays():
    asked = schema(description="other", schema={"description": MARK})
    assert MARK in sent(asked, "anthropic")
    assert "other" not in sent(asked, "anthropic")
