"""Clients in JavaScript, and the Python SDK, to the mock `@copilotkit/aimock`: by our door, and by the API.

Installed with `npm ci --prefix tests/js`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request

import openai
import pytest

from tests.conftest import ended, started
from tests.stack import ADMIN_KEY, ROOT, free_ports

JS = ROOT / "tests/js"
MODULES = JS / "node_modules"
STRICT = ("--strict", "--target", "es2022", "--module", "nodenext")
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


@pytest.fixture(scope="module")
def published(base_url, tmp_path_factory):
    """The file of the specification."""
    file = tmp_path_factory.mktemp("published") / "openapi.json"
    with urllib.request.urlopen(f"{base_url.removesuffix('/v1')}/openapi.json", timeout=60) as answer:
        file.write_bytes(answer.read())
    return file


def node(*command):
    done = subprocess.run(["node", *map(str, command)], cwd=JS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_redocly_finds_no_error_in_the_specification(published):
    assert json.loads(node("lint.mjs", published)) == []


@pytest.fixture(scope="module")
def compiled(published):
    """A client with the types of openapi-typescript. They are checked: it says of an answer what they say."""
    made = MODULES / ".generated"
    node(MODULES / "openapi-typescript/bin/cli.js", published, "-o", made / "openapi.d.ts")
    shutil.copy(JS / "generated.ts", made)
    node(MODULES / "typescript/bin/tsc", *STRICT, "--outDir", made / "out", made / "generated.ts")
    return made / "out/generated.js"


def test_a_client_with_the_types_of_openapi_typescript(compiled, base_url, agent):
    seen = printed(compiled, base_url.removesuffix("/v1"), agent)
    assert (seen["status"], seen["content"], seen["said"]) == ("succeeded", HELLO, HELLO)
    changed = {"description": "newer", "updated_at": seen["after"]["updated_at"]}
    assert seen["after"] == {**seen["before"], **changed}
    assert (seen["jobs"], bool(seen["cursor"]), seen["missing"]) == ([seen["job"]], True, "not_found")


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
