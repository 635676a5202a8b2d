"""Does anything that a client may send make a 5xx? `python -m bench.contract [minutes] [admin|member]`.

Starts the whole stack with the embedded stores, and lets schemathesis try the published specification in all
of its phases, with an admin's key and with a member's, or with one of them, five minutes each unless told
otherwise. Half of the calls name objects that are there (`bench.contract_hooks`). Prints what it found; ends
with 1 if there was a 5xx, or no answer.

Left out are streams, which do not end by themselves.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.choices import asked_for_help
from tests.stack import ADMIN_KEY, Stack

PHASES = "examples,coverage,fuzzing,stateful"
STREAMS = r"/(events|ws|logs)$"
MANY = {"FAILED_LOGINS_PER_MINUTE": "1000000"}
"""It tries wrong keys too, and after some of them every call would be a 429."""


def main(minutes: float = 5, *roles: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "data", **MANY)
        stack.start()
        try:
            keys = {"admin": ADMIN_KEY, "member": made(stack, "keys", role="member")["key"]}
            there = objects(stack)
            return max(tried(stack.port, role, keys[role], there, minutes) for role in roles or keys)
        finally:
            stack.stop()


def objects(stack: Stack) -> dict[str, str]:
    """What the parameters of paths may name, by parameter."""
    agent = made(stack, "agents", name="there", llm_config={"provider": "sandbox"})["id"]
    chat = made(stack, f"agents/{agent}/chat", message="hello", conversation_id="c1")
    file = stack.http.post(
        f"{stack.url}/drive/upload",
        files={"file": ("a.txt", b"hello")},
        headers={"Prefer": "wait=60"},
        timeout=90,
    ).json()
    return {
        "agent_id": agent,
        "job_id": chat["id"],
        "key_id": made(stack, "keys", role="viewer")["id"],
        "workspace_id": "default",
        "conversation_id": "c1",
        "file_id": file["result"]["id"],
        "model": "agent:there",
        "queue": "drive",
        "tick": "meter",
        "month": "2026-01",
    }


def made(stack: Stack, what: str, **body: object) -> dict[str, str]:
    answer = stack.http.post(f"{stack.url}/{what}", json=body, headers={"Prefer": "wait=60"}, timeout=90)
    assert answer.ok, answer.text
    return dict(answer.json())


def tried(port: int, role: str, key: str, there: dict[str, str], minutes: float) -> int:
    """The exit code of schemathesis: 0 if every call was answered, and none by a 5xx."""
    print(f"with the key of {role}, {minutes} minutes", flush=True)
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json"),
            *("--phases", PHASES, "--checks", "not_a_server_error", "--max-time", str(int(minutes * 60))),
            *("--header", f"Authorization: Bearer {key}", "--header", "Prefer: wait=1"),
            *("--exclude-path-regex", STREAMS, "--request-timeout", "60"),
            *("--continue-on-failure", "--no-color"),
        ],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "bench.contract_hooks", "THERE": json.dumps(there)},
        check=False,
    ).returncode


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:]):
        sys.exit(main(*map(float, sys.argv[1:2]), *sys.argv[2:]))
