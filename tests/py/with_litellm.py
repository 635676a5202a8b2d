"""LiteLLM as a client of the door; what it saw goes to stdout as JSON."""

import json
import os

import litellm

litellm.telemetry = False
KEPT = {
    "model": f"openai/{os.environ['MODEL']}",
    "api_base": os.environ["BASE_URL"],
    "api_key": os.environ["API_KEY"],
    "num_retries": 0,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "weather",
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
            "required": ["city", "degrees"],
        },
    },
}


def ask(text, **more):
    return litellm.completion(messages=[{"role": "user", "content": text}], **KEPT, **more)


def turn(text):
    """A call of the tool, and what is said of its results."""
    said = ask(text, tools=[WEATHER]).choices[0].message
    cities = [json.loads(call.function.arguments) for call in said.tool_calls]
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"rain in {given['city']}"}
        for call, given in zip(said.tool_calls, cities, strict=True)
    ]
    asked = [{"role": "user", "content": text}, said.model_dump(), *results]
    after = litellm.completion(messages=asked, tools=[WEATHER], **KEPT).choices[0].message.content
    return cities, after


parallel, after = turn("use the tool, parallel")
_, thought = turn("think, and use the tool")
print(
    json.dumps(
        {
            "whole": ask("words=2").choices[0].message.content,
            "streamed": "".join(
                chunk.choices[0].delta.content or "" for chunk in ask("words=3", stream=True) if chunk.choices
            ),
            "parallel": parallel,
            "after": after,
            "thought": thought,
            "json": json.loads(ask("weather", response_format=SCHEMA).choices[0].message.content),
        }
    )
)
