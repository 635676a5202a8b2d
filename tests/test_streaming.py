"""Watching jobs and leaving them, against real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.stack import ADMIN_KEY
from tests.watching import Sse, WebSocket


@pytest.fixture(scope="module")
def agent(stack, obedient):
    return stack.agent("watched", f"{obedient}/v1")


@pytest.fixture(scope="module")
def door(stack):
    return f"http://127.0.0.1:{stack.port}/v1/chat/completions"


@pytest.fixture(scope="module", autouse=True)
def quiet(stack, agent):
    """A stream that tells nothing for 17 s, while others go on; no worker dies before it has ended."""
    return Sse(stack, chat(stack, agent, "delay=17 words=1"))


def chat(stack, agent, text):
    """A streamed chat's job id."""
    body = {"message": text, "stream": True}
    return stack.http.post(f"{stack.url}/agents/{agent}/chat", json=body).json()["id"]


def words(events):
    return "".join(event.data["content"] for event in events if event.kind == "delta")


def log(obedient):
    return requests.get(f"{obedient}/log", timeout=60).json()


def is_now(stack, job_id, status):
    stack.until(lambda: stack.job(job_id)["status"] == status, f"it is {status}", every=0.1)


def asks(text):
    return [{"role": "user", "content": text}]


def asked(stack, obedient, text):
    """The id of the job with which the provider was asked this, and is about to answer."""
    stack.until(lambda: asks(text) in [r["body"]["messages"] for r in log(obedient)["requests"]], "asked")
    with stack.database() as db:
        return db.jobs.find_one({"request.messages.content": text, "status": "running"}, {"_id": 1})["_id"]


def left(stack, obedient, body):
    """The job's id of a client of the door that goes away while the provider is about to answer."""
    sent = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {ADMIN_KEY}\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", stack.port)) as client:
        client.sendall(head.encode() + sent)
        return asked(stack, obedient, body["messages"][0]["content"])


def first_word(answer):
    """Waits for it; the lines after it."""
    lines = answer.iter_lines(chunk_size=None)
    assert any(b"word0" in line for line in lines)
    return lines


def test_events_come_over_sse_with_ids_and_end_with_the_whole_job(stack, agent):
    job_id = chat(stack, agent, "words=4 pause=0.05")
    events = list(Sse(stack, job_id))
    deltas = [event for event in events if event.kind == "delta"]
    assert words(events) == "word0 word1 word2 word3 "
    assert [event.id for event in deltas] == ["1-1", "1-2", "1-3", "1-4"]
    assert {event.data["attempt"] for event in deltas} == {1}
    assert all(event.id for event in events)
    assert events[-1].kind == "done"
    assert events[-1].data == stack.job(job_id)


def test_a_finished_job_sends_done_and_closes(stack, agent):
    job_id = chat(stack, agent, "words=2")
    is_now(stack, job_id, "succeeded")
    assert [event.kind for event in Sse(stack, job_id, "1-2")] == ["done"]


def test_a_watcher_resumes_where_it_was_cut_off(stack, agent):
    job_id = chat(stack, agent, "words=30 pause=0.05")
    first = Sse(stack, job_id)
    heard = []
    while len([event for event in heard if event.kind == "delta"]) < 5:
        heard.append(next(first))
    first.close()
    heard += list(Sse(stack, job_id, heard[-1].id))
    assert words(heard) == "".join(f"word{n} " for n in range(30))
    assert not [event for event in heard if event.kind in ("gap", "restart")]


def test_the_same_comes_over_a_websocket(stack, agent):
    job_id = chat(stack, agent, "words=4 pause=0.05")
    events = list(WebSocket(stack, job_id))
    assert words(events) == "word0 word1 word2 word3 "
    assert (events[-1].kind, events[-1].data) == ("done", stack.job(job_id))
    for again in (
        WebSocket(stack, job_id, "?last_event_id=1-3"),
        WebSocket(stack, job_id, Last_Event_ID="1-3"),
    ):
        assert [event.id for event in again] == ["1-4", "1-4"]


def test_long_messages_come_whole(stack, agent):
    job_id = chat(stack, agent, "words=3 chars=1000000")
    for events in (Sse(stack, job_id), WebSocket(stack, job_id)):
        assert len(words(events)) > 3_000_000


def test_a_websocket_that_is_none_is_refused(stack, agent):
    job_id = chat(stack, agent, "words=1")
    url = f"{stack.url}/jobs/{job_id}/ws"
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert stack.http.get(url, headers=upgrade).status_code == 400
    assert stack.http.get(url).status_code in (400, 404)


def test_who_talks_into_a_websocket_is_not_listened_to(stack, agent):
    job_id = chat(stack, agent, "delay=1 words=2")
    client = WebSocket(stack, job_id)
    for _ in range(50):
        client.send("are you there?")
    assert words(client) == "word0 word1 "
    too_long = WebSocket(stack, chat(stack, agent, "delay=2"))
    too_long.send("x" * 10_000)
    assert not [event for event in too_long if event.kind == "done"]


def test_to_others_there_is_nothing_to_watch(stack, agent):
    job_id = chat(stack, agent, "words=1")
    stack.http.post(f"{stack.url}/workspaces", json={"name": "other"})
    others = stack.http.get(f"{stack.url}/workspaces").json()["items"]
    elsewhere = {"X-Workspace": next(w["id"] for w in others if w["name"] == "other")}
    for url in (f"{stack.url}/jobs/{job_id}/events", f"{stack.url}/jobs/no-such-job/events"):
        assert stack.http.get(url, headers=elsewhere).status_code == 404


def test_a_watcher_that_leaves_does_not_stop_the_job(stack, agent):
    job_id = chat(stack, agent, "words=20 pause=0.1")
    stream, client = Sse(stack, job_id), WebSocket(stack, job_id)
    next(event for event in stream if event.kind == "delta")
    stream.close()
    client.close()
    is_now(stack, job_id, "succeeded")


def test_cancelling_a_stream_ends_it_and_closes_the_providers_connection(stack, agent, obedient):
    closed = log(obedient)["closed_early"]
    job_id = chat(stack, agent, "words=2000 pause=0.05")
    stream = Sse(stack, job_id)
    next(event for event in stream if event.kind == "delta")
    stack.http.post(f"{stack.url}/jobs/{job_id}/cancel")
    assert list(stream)[-1].data["status"] == "cancelled"
    stack.until(lambda: log(obedient)["closed_early"] == closed + 1, "the provider saw it")


@pytest.mark.parametrize("after_the_first_word", [True, False])
def test_a_client_that_leaves_the_door_cancels_its_job(stack, agent, door, obedient, after_the_first_word):
    closed = log(obedient)["closed_early"]
    text = "words=2000 pause=0.05" if after_the_first_word else "delay=60 watch"
    body = {"model": agent, "stream": True, "messages": asks(text)}
    if after_the_first_word:
        with requests.post(door, json=body, headers=stack.http.headers, stream=True, timeout=60) as answer:
            first_word(answer)
            job_id = answer.headers["X-Job-Id"]
    else:
        job_id = left(stack, obedient, body)
    is_now(stack, job_id, "cancelled")
    stack.until(lambda: log(obedient)["closed_early"] == closed + 1, "the provider saw it")


def test_it_cancels_too_while_it_waits_for_a_whole_answer(stack, agent, obedient):
    is_now(stack, left(stack, obedient, {"model": agent, "messages": asks("delay=60")}), "cancelled")


def test_a_client_that_says_so_leaves_without_cancelling(stack, agent, door):
    body = {
        "model": agent,
        "stream": True,
        "messages": [{"role": "user", "content": "words=20 pause=0.1"}],
    }
    headers = {**stack.http.headers, "X-Detach": "true"}
    with requests.post(door, json=body, headers=headers, stream=True, timeout=60) as answer:
        first_word(answer)
        job_id = answer.headers["X-Job-Id"]
    is_now(stack, job_id, "succeeded")


def test_a_quiet_stream_sends_comments(quiet):
    assert [event.kind for event in quiet][-1] == "done"
    assert quiet.comments == 1


def test_a_worker_lost_after_the_first_word_ends_the_doors_stream(stack, agent, door):
    body = {
        "model": agent,
        "stream": True,
        "messages": [{"role": "user", "content": "words=400 pause=0.05"}],
    }
    answer = stack.http.post(door, json=body, stream=True)
    lines = first_word(answer)
    assert stack.kill("workers.main", "chat")
    said = [line for line in lines if line]
    assert b'"worker_lost"' in said[-1]
    job = stack.job(answer.headers["X-Job-Id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "worker_lost")


def test_a_worker_lost_before_the_first_word_goes_unnoticed_at_the_door(stack, agent, door, obedient):
    body = {"model": agent, "stream": True, "messages": asks("delay=4 words=2")}
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(stack.http.post, door, json=body, timeout=90)
        asked(stack, obedient, "delay=4 words=2")
        assert stack.kill("workers.main", "chat")
        answer = asking.result()
    assert answer.text.endswith("data: [DONE]\n\n")
    job = stack.job(answer.headers["X-Job-Id"])
    assert (job["status"], job["attempt"]) == ("succeeded", 2)


def test_a_watcher_is_told_that_another_worker_took_over(stack, agent):
    job_id = chat(stack, agent, "words=60 pause=0.05")
    stream = Sse(stack, job_id)
    next(event for event in stream if event.kind == "delta")
    assert stack.kill("workers.main", "chat")
    events = list(stream)
    restart = next(n for n, event in enumerate(events) if event.kind == "restart")
    assert events[restart].data == {"attempt": 2}
    assert words(events[restart:]) == "".join(f"word{n} " for n in range(60))
    assert events[-1].data["status"] == "succeeded"


def test_one_who_does_not_read_slows_nobody(stack, agent):
    """3 MB are told; one watcher takes none of it, the other and the worker do not wait for them."""
    job_id = chat(stack, agent, "words=30 chars=100000 pause=0.01")
    with socket.create_connection(("127.0.0.1", stack.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(
            f"GET /api/v1/jobs/{job_id}/events HTTP/1.1\r\nHost: a\r\n"
            f"Authorization: Bearer {ADMIN_KEY}\r\n\r\n".encode()
        )
        assert len(words(Sse(stack, job_id))) > 3_000_000
        assert stack.job(job_id)["status"] == "succeeded"
        assert stack.http.get(f"http://127.0.0.1:{stack.port}/readyz").status_code == 200


def test_many_watchers_use_a_handful_of_redis_connections(stack, agent):
    """200 watch; the web process holds no connection for each of them."""
    job_id = chat(stack, agent, "delay=4 words=3")
    with stack.redis() as redis, ThreadPoolExecutor(200) as pool:
        before = len(redis.client_list())
        streams = list(pool.map(lambda _: Sse(stack, job_id), range(200)))
        opened = len(redis.client_list()) - before
        heard = list(pool.map(words, streams))
        during = len(redis.client_list()) - before
    assert set(heard) == {"word0 word1 word2 "}
    assert max(opened, during) < 60


def test_a_redis_that_was_away_leaves_a_gap_and_the_whole_answer(stack, agent):
    if "REDIS_URL" in stack.given:
        pytest.skip("a Redis that was given is not stopped")
    job_id = chat(stack, agent, "words=150 pause=0.1")
    stream = Sse(stack, job_id)
    next(event for event in stream if event.kind == "delta")
    (valkey,) = stack.pids("valkey-server")
    told = stack.data_dir / "log" / "chat.log"
    before = told.read_text().count("events.lost")
    os.kill(valkey, signal.SIGSTOP)
    stack.until(lambda: told.read_text().count("events.lost") > before, "an event is lost")
    os.kill(valkey, signal.SIGCONT)
    events = list(stream)
    assert "gap" in [event.kind for event in events]
    whole = events[-1].data["result"]["message"]["content"]
    assert whole == "".join(f"word{n} " for n in range(150))


def test_a_conversation_is_remembered(stack, agent, obedient):
    for text in ("first of all", "and then"):
        body = {"message": text, "conversation_id": "remembered"}
        url = f"{stack.url}/agents/{agent}/chat"
        job = stack.http.post(url, json=body, headers={"Prefer": "wait=60"}).json()
        assert job["result"]["dropped_turns"] == 0
    sent = [request["body"]["messages"] for request in log(obedient)["requests"]]
    (told,) = [messages for messages in sent if messages[-1]["content"] == "and then"]
    assert [message["role"] for message in told] == ["user", "assistant", "user"]
    assert told[0]["content"] == "first of all"
