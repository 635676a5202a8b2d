"""Clients in JavaScript, and the Python SDK, through our door to the mock `@copilotkit/aimock`.

Installed with `npm ci --prefix tests/js`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import openai
import pytest

from tests.conftest import ended, started
from tests.stack import ADMIN_KEY, ROOT, free_ports

JS = ROOT / "tests/js"
HELLO = "Hello from the mock, word by word."
WEATHER = {"name": "weather", "arguments": {"city": "Bern"}}

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (JS / "node_modules").is_dir(),
    reason="needs node, and npm ci --prefix tests/js",
)


@pytest.fixture(scope="module")
def aimock(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("aimock"), free_ports(1)
    llmock = str(JS / "node_modules/@copilotkit/aimock/dist/cli.js")
    process = started(["node", llmock, "-p", str(port), "-f", str(JS / "fixtures.json")], port, folder)
    yield f"http://127.0.0.1:{port}"
    ended(process)


@pytest.fixture(scope="module", params=["openai", "anthropic"])
def agent(request, stack, aimock):
    """An agent whose provider is the mock, which speaks the wire format of each vendor."""
    return stack.agent(f"mocked-{request.param}", f"{aimock}/v1", provider=request.param)


@pytest.fixture(scope="module")
def base_url(stack):
    return f"http://127.0.0.1:{stack.port}/v1"


@pytest.fixture(scope="module")
def run(base_url, agent):
    """Runs one of the scripts; what it printed."""

    return lambda script: printed(script, base_url, agent)


def printed(script, base_url, agent):
    environment = {"PATH": os.environ["PATH"], "BASE_URL": base_url, "API_KEY": ADMIN_KEY, "MODEL": agent}
    done = subprocess.run(
        ["node", script],
        cwd=JS,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_openais_sdk_for_python(base_url, agent):
    messages = [{"role": "user", "content": "hello"}]
    with openai.OpenAI(api_key=ADMIN_KEY, base_url=base_url, max_retries=0) as sdk:
        whole = sdk.chat.completions.create(model=agent, messages=messages)
        chunks = sdk.chat.completions.create(model=agent, messages=messages, stream=True)
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        with pytest.raises(openai.RateLimitError):
            sdk.chat.completions.create(model=agent, messages=[{"role": "user", "content": "too often"}])
    assert whole.choices[0].message.content == streamed == HELLO


def test_openais_sdk_for_node(run):
    seen = run("openai.mjs")
    assert seen["whole"] == seen["streamed"] == HELLO
    assert seen["requestId"]
    assert (
        seen["usage"]["total_tokens"] == seen["usage"]["prompt_tokens"] + seen["usage"]["completion_tokens"]
    )
    assert seen["call"] == WEATHER
    assert seen["after"] == "It rains in Bern."
    assert (seen["limited"]["name"], seen["limited"]["status"]) == ("RateLimitError", 429)
    assert seen["missing"] == {"name": "NotFoundError", "status": 404, "code": "model_not_found"}
    assert {"agent:mocked-openai", "agent:mocked-anthropic"} & set(seen["models"])


def test_langchain(run):
    seen = run("langchain.mjs")
    assert seen["whole"] == seen["streamed"] == HELLO
    assert seen["tokens"]["total_tokens"] > 0
    assert seen["call"] == WEATHER
    assert seen["after"] == "It rains in Bern."
    assert seen["limited"]["status"] == 429


def test_the_ai_sdk(run):
    seen = run("ai.mjs")
    assert seen["whole"] == seen["streamed"] == HELLO
    assert seen["usage"]["totalTokens"] > 0
    assert seen["call"] == WEATHER
    assert seen["after"] == "It rains in Bern."
    assert (seen["limited"]["name"], seen["limited"]["status"]) == ("AI_APICallError", 429)


@pytest.fixture(scope="module")
def thinking(stack, obedient):
    """An agent whose provider thinks as DeepSeek does, and calls a tool twice at once."""
    return stack.agent("for-clients-in-javascript", f"{obedient}/v1")


@pytest.mark.parametrize("client", ["openai", "langchain", "ai"])
def test_parallel_tools_a_turn_after_thinking_and_json_by_schema(base_url, thinking, client):
    assert printed(f"{client}-turns.mjs", base_url, thinking) == {
        "parallel": [{"city": "Bern"}, {"city": "Oslo"}],
        "after": "the tool said rain in Bern and rain in Oslo",
        "thought": "the tool said rain in Bern",
        "json": {"city": "Bern", "degrees": 7},
    }
