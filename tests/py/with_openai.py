"""OpenAI's own SDK through the door; what it saw goes to stdout as JSON."""

import json
import os

from openai import OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)
completions, model = client.chat.completions, os.environ["MODEL"]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class Weather(BaseModel):
    city: str
    degrees: int


def user(text):
    return [{"role": "user", "content": text}]


def turn(text):
    """A call of the tool, streamed, and what is said of its results."""
    asked = user(text)
    with completions.stream(model=model, messages=asked, tools=[TOOL]) as stream:
        said = stream.get_final_completion().choices[0].message
    given = [json.loads(call.function.arguments) for call in said.tool_calls]
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"rain in {one['city']}"}
        for call, one in zip(said.tool_calls, given, strict=True)
    ]
    after = completions.create(model=model, messages=[*asked, said, *results], tools=[TOOL])
    return given, after.choices[0].message.content


parallel, after = turn("use the tool, parallel")
_, thought = turn("think, and use the tool")
chunks = completions.create(model=model, messages=user("words=3"), stream=True)
by_schema = completions.parse(model=model, messages=user("weather"), response_format=Weather)
print(
    json.dumps(
        {
            "whole": completions.create(model=model, messages=user("words=2")).choices[0].message.content,
            "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
            "parallel": parallel,
            "after": after,
            "thought": thought,
            "json": by_schema.choices[0].message.parsed.model_dump(),
        }
    )
)
