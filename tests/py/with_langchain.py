"""LangChain's OpenAI client through the door; what it saw goes to stdout as JSON."""

import json
import os

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

chat = ChatOpenAI(
    model=os.environ["MODEL"], base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0
)


class Weather(BaseModel):
    city: str
    degrees: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def turn(text):
    """A call of the tool, and what is said of its results."""
    asked = [HumanMessage(text)]
    with_tool = chat.bind_tools([weather])
    said = with_tool.invoke(asked)
    results = [
        ToolMessage(tool_call_id=call["id"], content=weather(**call["args"])) for call in said.tool_calls
    ]
    return [call["args"] for call in said.tool_calls], with_tool.invoke([*asked, said, *results]).text


parallel, after = turn("use the tool, parallel")
_, thought = turn("think, and use the tool")
print(
    json.dumps(
        {
            "whole": chat.invoke("words=2").text,
            "streamed": "".join(chunk.text for chunk in chat.stream("words=3")),
            "parallel": parallel,
            "after": after,
            "thought": thought,
            "json": chat.with_structured_output(Weather, method="json_schema").invoke("weather").model_dump(),
        }
    )
)
