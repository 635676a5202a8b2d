"""The runtime with the real OpenClaw: `make test-openclaw`. One agent's life, step by step.

Not collected by the suite: OpenClaw takes 830 MB of disk, and each start of it some 15 seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.runtime import openclaw, processes
from core.runtime.processes import Process
from tests.conftest import ended, started
from tests.stack import ROOT, Stack, free_ports

PROMPT = "You are Scout. Your secret word is XYZZY."
SLOW_S = 180


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    """The address of a provider that does as it is told."""
    folder, port = tmp_path_factory.mktemp("obedient"), free_ports(1)
    process = started([sys.executable, str(ROOT / "tests/providers/obedient.py"), str(port)], port, folder)
    yield f"http://127.0.0.1:{port}/v1"
    ended(process)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    program = os.environ.get("OPENCLAW_PATH") or str(openclaw.installed_in(ROOT / ".data"))
    assert Path(program).exists(), "run `make openclaw` first"
    stack = Stack(
        tmp_path_factory.mktemp("real") / "data",
        OPENCLAW_PATH=program,
        RUNTIME_POLL_SECONDS="2",
        CUSTOM_ENDPOINT_ALLOW="127.0.0.1",
        LEASE_S="6",
        BEAT_S="1",
    )
    stack.start()
    yield stack
    stack.stop()
    assert processes.marked(str(stack.data_dir)) == {}


@pytest.fixture(scope="module")
def agent(stack):
    """Asks the sandbox, and may read files."""
    made = stack.http.post(
        f"{stack.url}/agents",
        json={
            "name": "scout",
            "system_prompt": PROMPT,
            "tools": ["read"],
            "llm_config": {"provider": "sandbox"},
        },
        timeout=10,
    )
    return made.json()["id"]


def order(stack, agent, what, **body):
    """The finished job of an order."""
    answer = stack.http.post(f"{stack.url}/agents/{agent}/{what}", json=body, timeout=10)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["id"]
    stack.until(lambda: stack.job(job_id)["done"], what)
    return stack.job(job_id)


def health(stack, agent):
    return stack.http.get(f"{stack.url}/agents/{agent}/health", timeout=10).json()


def process(stack, agent):
    with stack.database() as db:
        record = db.runtimes.find_one({"_id": agent})
    return Process(record["pid"], record["pid_started"])


def turns(stack, agent):
    """The jobs by which the process asked our door, the oldest first."""
    with stack.database() as db:
        return list(db.jobs.find({"agent_id": agent, "kind": "runtime"}).sort("created_at", 1))


def environment(one: Process):
    return Path(f"/proc/{one.pid}/environ").read_bytes()


def files(stack, agent):
    """All that stands in the instance directory, but for what OpenClaw brings along."""
    (folder,) = (stack.data_dir / "runtime").glob(f"*/{agent}")
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError):  # it may go while we look
                yield path, path.read_bytes()


def zombies(stack):
    """Children of this Vutler that have ended, and that nobody has waited for."""
    command = ["ps", "-eo", "ppid=,stat=,pid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ours = set(stack.pids()) | {stack.launcher.pid}
    children = (line.split(maxsplit=2) for line in listed.splitlines())
    return [child for child in children if int(child[0]) in ours and child[1].startswith("Z")]


def test_it_starts(stack, agent):
    began = time.monotonic()
    job = order(stack, agent, "start")
    assert job["status"] == "succeeded", job
    print(f"ready after {time.monotonic() - began:.1f} s")
    seen = health(stack, agent)
    assert (seen["status"], seen["ready"], seen["restarts"]) == ("ready", True, 0)
    stack.until(lambda: health(stack, agent)["memory_mb"] > 200, "its memory is seen")


def test_it_answers_a_message_through_our_door(stack, agent):
    job = order(stack, agent, "message", message="What is your word?", conversation_id="c1")
    assert job["status"] == "succeeded", job
    assert job["result"]["message"]["content"].startswith("[sandbox] No model was asked.")
    (turn,) = turns(stack, agent)
    asked = turn["request"]
    system = [m["content"] for m in asked["messages"] if m["role"] in ("system", "developer")]
    assert len(system) == 1
    assert json.dumps(system).count("XYZZY") == 1
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["read"]
    assert turn["created_by"] == f"runtime:{agent}"


def test_it_keeps_a_conversation(stack, agent):
    order(stack, agent, "message", message="And again?", conversation_id="c1")
    said = json.dumps(turns(stack, agent)[-1]["request"]["messages"])
    assert "What is your word?" in said
    order(stack, agent, "message", message="Who are you?", conversation_id="c2")
    said = json.dumps(turns(stack, agent)[-1]["request"]["messages"])
    assert "What is your word?" not in said


def test_an_answer_is_streamed(stack, agent):
    answer = stack.http.post(
        f"{stack.url}/agents/{agent}/message", json={"message": "Hi", "stream": True}, timeout=10
    )
    events = stack.http.get(f"{stack.url}/jobs/{answer.json()['id']}/events", timeout=60).text
    assert "event: delta" in events
    assert "[sandbox]" in events
    assert events.count("event: done") == 1


def test_its_tokens_are_in_the_ledger(stack, agent):
    stack.until(
        lambda: (
            stack.http.get(f"{stack.url}/agents/{agent}/usage?period=day", timeout=10).json()["requests"] >= 4
        ),
        "its calls are entered",
    )
    with stack.database() as db:
        rows = list(db.token_usage.find({"agent_id": agent}))
    assert {row["request_type"] for row in rows} == {"runtime"}
    assert all(row["tokens_input"] > 1000 for row in rows)


def test_a_tool_call_of_its_own_is_carried_out_and_answered(stack, provider):
    made = stack.http.post(
        f"{stack.url}/agents",
        json={
            "name": "reader",
            "system_prompt": PROMPT,
            "tools": ["read"],
            "llm_config": {
                "provider": "openai",
                "model": "tiny",
                "api_key": "sk-of-the-user-0123456789",
                "custom_endpoint": provider,
            },
        },
        timeout=10,
    )
    reader = made.json()["id"]
    assert order(stack, reader, "start")["status"] == "succeeded"
    job = order(stack, reader, "message", message='tool arguments={"path":"AGENTS.md"}')
    assert job["status"] == "succeeded", job
    assert job["result"]["message"]["content"].startswith(f"the tool said {PROMPT}")
    last = turns(stack, reader)[-1]["request"]["messages"]
    assert [m["role"] for m in last[-2:]] == ["assistant", "tool"]
    # A provider's key is nowhere near the process.
    one = process(stack, reader)
    for each in processes.family([one]):
        assert b"sk-of-the-user" not in environment(each)
        assert b"sk-of-the-user" not in Path(f"/proc/{each.pid}/cmdline").read_bytes()
    assert not [path for path, content in files(stack, reader) if b"sk-of-the-user" in content]
    assert order(stack, reader, "stop")["status"] == "succeeded"


def test_its_key_does_nothing_but_speak_as_its_agent(stack, agent):
    variables = dict(v.split(b"=", 1) for v in environment(process(stack, agent)).split(b"\0") if b"=" in v)
    key = {"Authorization": f"Bearer {variables[b'VUTLER_AGENT_KEY'].decode()}"}
    door = f"http://127.0.0.1:{stack.port}/v1"
    assert [m["id"] for m in stack.http.get(f"{door}/models", headers=key, timeout=10).json()["data"]] == [
        agent
    ]
    for path in ("/agents", f"/agents/{agent}", f"/agents/{agent}/logs", "/jobs", "/keys"):
        assert stack.http.get(f"{stack.url}{path}", headers=key, timeout=10).status_code == 403
    asked = {"model": "demo", "messages": [{"role": "user", "content": "Hi"}]}
    said = stack.http.post(f"{door}/chat/completions", json=asked, headers=key, timeout=10)
    assert said.status_code == 404


def test_its_log_is_told(stack, agent):
    said = stack.http.get(f"{stack.url}/agents/{agent}/logs?tail=100", timeout=10).json()
    assert any("gateway ready" in line for line in said["lines"])


def test_its_worker_is_killed_and_the_next_one_takes_it_over(stack, agent):
    before, worker = process(stack, agent), stack.pids("workers.main", "runtime")
    stack.kill("workers.main", "runtime", how=signal.SIGKILL)
    stack.until(lambda: set(stack.pids("workers.main", "runtime")) - set(worker), "there is another")
    job = order(stack, agent, "message", message="Still there?", conversation_id="c1")
    assert job["status"] == "succeeded", job
    assert process(stack, agent) == before
    assert processes.alive(before)
    seen = health(stack, agent)
    assert (seen["status"], seen["restarts"]) == ("ready", 0)


def test_a_restart_with_a_configuration_that_is_refused_goes_back(stack, agent):
    before = process(stack, agent)
    with stack.database() as db:
        db.agents.update_one({"_id": agent}, {"$set": {"tools": [7]}})
    assert health(stack, agent)["restart_needed"] is True
    job = order(stack, agent, "restart")
    assert (job["status"], job["error"]["code"]) == ("failed", "went_back")
    assert "tools.allow" in job["error"]["detail"]
    seen = health(stack, agent)
    assert (seen["status"], seen["restart_needed"]) == ("ready", True)
    assert process(stack, agent) != before
    assert not processes.alive(before)
    with stack.database() as db:
        db.agents.update_one({"_id": agent}, {"$set": {"tools": ["read"]}})
    said = order(stack, agent, "message", message="Back again?", conversation_id="c1")
    assert said["status"] == "succeeded", said
    assert "What is your word?" in json.dumps(turns(stack, agent)[-1]["request"]["messages"])


def test_stopped_nothing_is_left(stack, agent):
    one, port = process(stack, agent), health(stack, agent)["port"]
    secrets = [
        value
        for name, _, value in (v.partition(b"=") for v in environment(one).split(b"\0"))
        if name in (b"VUTLER_AGENT_KEY", b"OPENCLAW_GATEWAY_TOKEN")
    ]
    assert len(secrets) == 2
    family = processes.family([one])
    job = order(stack, agent, "stop")
    assert job["status"] == "succeeded", job
    assert [each for each in family if processes.alive(each)] == []
    assert processes.marked(str(stack.data_dir)) == {}
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not [path for path, content in files(stack, agent) if any(s in content for s in secrets)]
    key = {"Authorization": f"Bearer {secrets[0].decode()}"}
    assert (
        stack.http.get(f"http://127.0.0.1:{stack.port}/v1/models", headers=key, timeout=10).status_code == 401
    )


def test_no_zombie_is_left(stack):
    stack.until(lambda: zombies(stack) == [], "none is left")
