"""OpenAI's Agents SDK through the door; what it saw goes to stdout as JSON."""

import asyncio
import json
import os

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from pydantic import BaseModel

set_tracing_disabled(True)
client = AsyncOpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)
model = OpenAIChatCompletionsModel(os.environ["MODEL"], client)


class Weather(BaseModel):
    city: str
    degrees: int


async def turn(text):
    """The cities that the tool was called for, and what is said of its results."""
    cities = []

    @function_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        cities.append({"city": city})
        return f"rain in {city}"

    said = await Runner.run(Agent(name="a", model=model, tools=[weather]), text)
    return sorted(cities, key=str), said.final_output


async def main():
    plain = Agent(name="a", model=model)
    stream = Runner.run_streamed(plain, "words=3")
    async for _ in stream.stream_events():
        pass
    parallel, after = await turn("use the tool, parallel")
    _, thought = await turn("think, and use the tool")
    by_schema = await Runner.run(Agent(name="a", model=model, output_type=Weather), "weather")
    return {
        "whole": (await Runner.run(plain, "words=2")).final_output,
        "streamed": stream.final_output,
        "parallel": parallel,
        "after": after,
        "thought": thought,
        "json": by_schema.final_output.model_dump(),
    }


print(json.dumps(asyncio.run(main())))
