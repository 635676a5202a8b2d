"""Other people's clients in Python, unchanged, through our door to a provider that thinks as DeepSeek does.

Installed with `pip install --target tests/py/packages -r tests/py/requirements.txt`.

What each client is seen to do, those for Node by `tests/test_clients.py`. `s`: streamed, `w`: in one piece.

| client        | chat | stream | parallel tools | a tool's result after thinking | JSON by schema |
|---------------|------|--------|----------------|--------------------------------|----------------|
| openai        | w    | s      | s              | s, then w                      | w (`parse`)    |
| openai (Node) | w    | s      | s              | s                              | w              |
| langchain     | w    | s      | w              | w                              | w              |
| langchain (Node) | w | s      | s              | s, then w                      | w              |
| AI SDK (Node) | w    | s      | s              | s                              | w              |
| openai_agents | w    | s      | w              | w                              | w              |
| pydantic_ai   | w    | s      | w              | w                              | w              |
| litellm       | w    | s      | w              | w                              | w              |
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.stack import ADMIN_KEY, ROOT

PY = ROOT / "tests/py"
PACKAGES = PY / "packages"
CLIENTS = ("openai", "langchain", "openai_agents", "pydantic_ai", "litellm")
IN = {
    "openai": "openai",
    "langchain": "langchain_openai",
    "openai_agents": "agents",
    "pydantic_ai": "pydantic_ai",
    "litellm": "litellm",
}
TOO_LARGE = ("litellm",)
"""Left out of the requirements: 260 MB. It is tried where it is there all the same."""

pytestmark = pytest.mark.skipif(
    not PACKAGES.is_dir(), reason="needs pip install --target tests/py/packages -r tests/py/requirements.txt"
)


def there():
    return [name for name in CLIENTS if name not in TOO_LARGE or (PACKAGES / IN[name]).is_dir()]


@pytest.fixture(scope="module")
def run(stack, obedient):
    """Runs one of the scripts; what it printed."""
    agent = stack.agent("for-clients", f"{obedient}/v1")

    def run(script):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(stack.data_dir.parent),
            "PYTHONPATH": str(PACKAGES),
            "BASE_URL": f"http://127.0.0.1:{stack.port}/v1",
            "API_KEY": ADMIN_KEY,
            "MODEL": agent,
        }
        done = subprocess.run(
            [sys.executable, script],
            cwd=PY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.parametrize("client", there())
def test_a_client_chats_streams_calls_tools_at_once_goes_on_after_thinking_and_gets_its_json(run, client):
    assert run(f"with_{client}.py") == {
        "whole": "word0 word1 ",
        "streamed": "word0 word1 word2 ",
        "parallel": [{"city": "Bern"}, {"city": "Oslo"}],
        "after": "the tool said rain in Bern and rain in Oslo",
        "thought": "the tool said rain in Bern",
        "json": {"city": "Bern", "degrees": 7},
    }
