"""How an agent is called: by OpenAI's SDKs, by curl. Each agent is a model of the door at `/v1`."""

from __future__ import annotations

import json
import shlex

from flask import Blueprint, Response, request

from core.documents import Agent
from web.dashboard.agents import one

views = Blueprint("snippets", __name__)

HELLO = "Hello!"
KEY = "VUTLER_API_KEY"


@views.get("/agents/<agent_id>/code")
def show(agent_id: str) -> Response:
    """Lines to copy."""
    agent = one.get(agent_id)
    found = of(agent, request.host_url.rstrip("/"))
    return one.page("agents/code.html", agent, snippets=found, key=KEY)


def of(agent: Agent, base: str) -> list[tuple[str, str, str]]:
    """(title, what it needs, the lines) of each. A name is said as JSON does, so that no name is code."""
    model = json.dumps(f"agent:{agent['name']}")
    return [
        ("Python", "pip install openai", _python(base, model)),
        ("JavaScript", "npm install openai", _javascript(base, model)),
        ("curl", "a job, waited for", _curl(base, agent["_id"])),
    ]


def _python(base: str, model: str) -> str:
    return f'''import os
from openai import OpenAI

client = OpenAI(base_url="{base}/v1", api_key=os.environ["{KEY}"])
stream = client.chat.completions.create(
    model={model},
    messages=[{{"role": "user", "content": "{HELLO}"}}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)'''


def _javascript(base: str, model: str) -> str:
    return f'''import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{base}/v1", apiKey: process.env.{KEY} }});
const stream = await client.chat.completions.create({{
  model: {model},
  messages: [{{ role: "user", content: "{HELLO}" }}],
  stream: true,
}});
for await (const chunk of stream) {{
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}}'''


def _curl(base: str, agent_id: str) -> str:
    body = shlex.quote(json.dumps({"message": HELLO}))
    return (
        f"curl -s {base}/api/v1/agents/{agent_id}/chat \\\n"
        f'  -H "Authorization: Bearer ${KEY}" \\\n'
        "  -H 'Content-Type: application/json' -H 'Prefer: wait=30' \\\n"
        f"  -d {body}"
    )
