"""Pydantic AI through the door; what it saw goes to stdout as JSON."""

import asyncio
import json
import os

from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

client = AsyncOpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)
model = OpenAIChatModel(os.environ["MODEL"], provider=OpenAIProvider(openai_client=client))


class Weather(BaseModel):
    city: str
    degrees: int


async def turn(text):
    """The cities that the tool was called for, and what is said of its results."""
    cities = []

    def weather(city: str) -> str:
        """The weather of a city."""
        cities.append({"city": city})
        return f"rain in {city}"

    said = await Agent(model, tools=[weather]).run(text)
    return sorted(cities, key=str), said.output


async def main():
    plain = Agent(model)
    async with plain.run_stream("words=3") as stream:
        streamed = await stream.get_output()
    parallel, after = await turn("use the tool, parallel")
    _, thought = await turn("think, and use the tool")
    by_schema = await Agent(model, output_type=NativeOutput(Weather)).run("weather")
    return {
        "whole": (await plain.run("words=2")).output,
        "streamed": streamed,
        "parallel": parallel,
        "after": after,
        "thought": thought,
        "json": by_schema.output.model_dump(),
    }


print(json.dumps(asyncio.run(main())))
