"""Things die in the midst of work: every accepted job is finished, once. Against real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from standardwebhooks import Webhook

from tests.given import NAMES
from tests.ledger_run import all_entered
from tests.ledger_run import provider as counting_provider
from tests.receiver import Receiver
from tests.stack import Stack, free_ports
from tests.waiting import until

JOBS = 24


@pytest.fixture(scope="module")
def provider():
    """A provider that counts; its address."""
    with counting_provider() as address:
        yield address


@pytest.fixture(scope="module")
def receiver():
    """Of webhooks; not started yet."""
    return Receiver(free_ports(1))


@pytest.fixture(scope="module")
def stack(tmp_path_factory, provider, receiver):
    address = provider.removeprefix("http://")
    stack = Stack(
        tmp_path_factory.mktemp("stack") / "data",
        embedded=NAMES,
        without=("drive", "runtime", "sandbox"),
        CUSTOM_ENDPOINT_ALLOW=f"{address},127.0.0.1:{receiver.port}",
        LEASE_S="6",
        BEAT_S="1",
        STORE_ANSWERS_WITHIN_S="10",
        LLM_ENCRYPTION_KEY="0123456789abcdef" * 4,
    )
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def agent(stack, provider):
    return stack.agent("counted", f"{provider}/v1")


def submit(stack, agent, n, text):
    """`n` accepted jobs; a store that is away for a moment is asked again with the same key."""

    def accepted(i):
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            answer = stack.chat(agent, text.format(i=i), **{"Idempotency-Key": f"{text}-{i}"})
            if answer.status_code == 202:
                return answer.json()["id"]
            assert answer.status_code == 503, answer.text
        return None

    def one(i):
        return until(lambda: accepted(i), "it is accepted", every=0.3)

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, range(n)))


def all_end(stack, ids):
    """Waits until every job has ended and is in the ledger; the jobs as the store keeps them."""
    with stack.database() as db:
        jobs = db.jobs
        stack.until(lambda: jobs.count_documents({"status": {"$in": ["queued", "running"]}}) == 0, "all end")
        stack.until(lambda: all_entered(db), "all are in the ledger")
        return [jobs.find_one({"_id": job_id}) for job_id in ids]


def assert_finished_once(jobs, provider):
    assert {job["status"] for job in jobs} == {"succeeded"}
    for job in jobs:
        answered = [call for call in job["calls"] if call["outcome"] == "ok"]
        assert len(answered) == 1, job
        assert job["result"]["usage"]["tokens_total"] == 17
    seen = requests.get(f"{provider}/log", timeout=60).json()["calls"]
    for job in jobs:
        mark = job["request"]["messages"][-1]["content"].split("id=")[1].split()[0]
        lost = len(job.get("lost", [])) + len(job.get("handed_back", []))
        assert 1 <= seen[mark] <= 1 + lost, (
            f"{mark} was called {seen[mark]} times, its owner lost {lost} times"
        )


def test_a_killed_worker_costs_nothing_but_a_second_call(stack, agent, provider):
    ids = submit(stack, agent, JOBS, "delay=4 id=worker-{i}")
    stack.until(lambda: stack.job(ids[-1])["status"] == "running", "they run", every=0.1)
    assert stack.kill("workers.main", "chat")
    jobs = all_end(stack, ids)
    assert_finished_once(jobs, provider)
    assert any(job.get("lost") for job in jobs), "it was at work"


def test_all_workers_killed_then_redis_then_the_store(stack, agent, provider):
    ids = submit(stack, agent, JOBS, "delay=4 id=all-{i}")
    stack.until(lambda: stack.job(ids[-1])["status"] == "running", "they run", every=0.1)
    assert len(stack.kill("workers.main")) >= 2
    time.sleep(1)
    assert stack.kill("valkey-server")
    time.sleep(1)
    assert stack.kill("secantusd")
    jobs = all_end(stack, ids)
    assert_finished_once(jobs, provider)
    assert any(job.get("lost") for job in jobs), "they were at work"


def test_a_worker_that_was_stopped_past_its_lease_does_no_harm(stack, agent, provider):
    ids = submit(stack, agent, 10, "delay=4 id=stopped-{i}")
    stack.until(lambda: stack.job(ids[-1])["status"] == "running", "its jobs run")
    stopped = stack.kill("workers.main", "chat", how=signal.SIGSTOP)
    with stack.database() as db:
        dead = {"pid": {"$in": stopped}, "dead": True}
        stack.until(lambda: db.processes.count_documents(dead) == len(stopped), "it was declared dead")
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    assert_finished_once(all_end(stack, ids), provider)
    stack.until(lambda: not set(stopped) & set(stack.pids("workers.main", "chat")), "it ended itself")


def test_a_terminated_worker_hands_its_jobs_back_or_finishes_them(stack, agent, provider):
    ids = submit(stack, agent, 10, "delay=1 id=term-{i}")
    stack.kill("workers.main", "chat", how=signal.SIGTERM)
    jobs = all_end(stack, ids)
    assert_finished_once(jobs, provider)
    assert not any(job.get("lost") for job in jobs)


def test_while_redis_is_down_chats_are_accepted_and_run_later(stack, agent, provider):
    (valkey,) = stack.pids("valkey-server")
    os.kill(valkey, signal.SIGSTOP)
    try:
        answer = stack.chat(agent, "id=redis-down delay=0.02")
        assert answer.status_code == 202
    finally:
        os.kill(valkey, signal.SIGCONT)
    assert_finished_once(all_end(stack, [answer.json()["id"]]), provider)


def test_an_outage_of_the_store_repeats_no_call_and_new_requests_get_503(stack, agent, provider):
    ids = submit(stack, agent, 20, "delay=4 id=outage-{i}")
    stack.until(lambda: all(stack.job(i)["status"] == "running" for i in ids), "all of them run", every=0.1)
    (store,) = stack.pids("secantusd", "--storage-path")
    os.kill(store, signal.SIGSTOP)
    try:
        refused = stack.chat(agent, "id=never")
        assert refused.status_code == 503
        assert refused.headers["Content-Type"] == "application/problem+json"
        time.sleep(15)
    finally:
        os.kill(store, signal.SIGCONT)
    jobs = all_end(stack, ids)
    assert_finished_once(jobs, provider)
    assert not any(job.get("lost") for job in jobs)


def test_a_job_that_kills_its_worker_is_quarantined_while_its_neighbours_succeed(stack, agent, provider):
    """Whichever worker runs it is killed, each time it runs; 60 others run beside it meanwhile."""
    poison = stack.chat(agent, "delay=600 id=poison").json()["id"]
    killed = {}
    with stack.database() as db, ThreadPoolExecutor(1) as pool:
        neighbours = pool.submit(submit, stack, agent, 60, "delay=0.2 id=neighbour-{i}")

        def has_ended():
            job = db.jobs.find_one({"_id": poison})
            if job["status"] == "running" and job["owner"] not in killed:
                worker = db.processes.find_one({"_id": job["owner"]})
                killed[job["owner"]] = worker["role"]
                os.kill(worker["pid"], signal.SIGKILL)
            return job["status"] == "failed"

        stack.until(has_ended, "it has ended", every=0.1)
        jobs = all_end(stack, neighbours.result())
    assert list(killed.values()) == ["chat", "chat", "isolation"]
    ended = stack.job(poison)
    assert ended["error"]["code"] == "quarantined"
    assert ended["attempt"] == 3
    assert_finished_once(jobs, provider)


def test_the_same_key_posted_fifty_times_at_once_makes_one_job(stack, agent, provider):
    def post(_):
        return stack.chat(agent, "id=fifty delay=0.02", **{"Idempotency-Key": "fifty"})

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(post, range(50)))
    assert {answer.status_code for answer in answers} == {202}
    (job_id,) = {answer.json()["id"] for answer in answers}
    assert_finished_once(all_end(stack, [job_id]), provider)
    with stack.database() as db:
        keys = [job.get("idempotency", {}).get("key") for job in db.jobs.find({}, {"idempotency": 1})]
        assert keys.count("fifty") == 1
    assert requests.get(f"{provider}/log", timeout=60).json()["calls"]["fifty"] == 1


def test_a_receiver_that_is_down_slow_redirects_or_fails_gets_each_event_once_it_is_up(
    stack, agent, receiver
):
    def deliveries(job_id):
        return stack.http.get(f"{stack.url}/jobs/{job_id}/deliveries").json()["items"]

    def tried(name):
        return any(delivery["tries"] for delivery in deliveries(jobs[name]))

    jobs = {"down": called_back(stack, agent, receiver, "down")}
    stack.until(lambda: tried("down"), "it was tried in vain")
    receiver.start()
    try:
        for name in ("500", "redirect", "slow"):
            jobs[name] = called_back(stack, agent, receiver, name)
        stack.until(
            lambda: all(d["state"] == "delivered" for job_id in jobs.values() for d in deliveries(job_id)),
            "all are delivered",
        )
    finally:
        receiver.stop()
    secret = stack.http.get(f"{stack.url}/workspaces/default/webhook-secret").json()
    for name, job_id in jobs.items():
        (delivery,) = deliveries(job_id)
        assert len(delivery["tries"]) == 2, delivery
        for headers, body in receiver.received[name]:
            event = Webhook(secret["secret"]).verify(body, headers)
            assert (event["type"], event["data"]["id"]) == ("job.succeeded", job_id)
            assert headers["webhook-id"] == delivery["id"]
    assert set(receiver.received) == set(jobs)  # nobody was redirected


def called_back(stack, agent, receiver, name):
    """A job that has ended, and whose end is to be told at `/name`."""
    asked = {
        "message": f"id=callback-{name} delay=0.02",
        "callback_url": f"http://127.0.0.1:{receiver.port}/{name}?token=hidden",
    }
    done = stack.http.post(f"{stack.url}/agents/{agent}/chat", json=asked, headers={"Prefer": "wait=60"})
    assert done.json()["status"] == "succeeded", done.text
    return done.json()["id"]


def test_the_jobs_of_a_paused_queue_wait_until_it_is_resumed(stack, agent, provider):
    def set_paused(what):
        assert stack.http.post(f"{stack.url}/queues/chat/{what}").status_code == 200

    set_paused("pause")
    beat(stack)  # a worker that missed the signal reads it then
    ids = submit(stack, agent, 5, "id=paused-{i} delay=0.02")
    beat(stack)
    assert [stack.job(job_id)["status"] for job_id in ids] == ["queued"] * 5
    set_paused("resume")
    assert_finished_once(all_end(stack, ids), provider)


def beat(stack, times=3):
    """Until each worker that lives has beaten so often."""
    with stack.database() as db:
        before = {one["_id"]: one["beat"] for one in db.processes.find({"dead": False})}

        def beaten():
            now = db.processes.find({"_id": {"$in": list(before)}})
            return all(one["dead"] or one["beat"] >= before[one["_id"]] + times for one in now)

        stack.until(beaten, "all have beaten")


def test_cancelling_a_running_chat_ends_its_call(stack, agent, provider):
    job_id = stack.chat(agent, "id=cancelled delay=60").json()["id"]
    stack.until(lambda: stack.job(job_id)["status"] == "running", "it runs")
    before = requests.get(f"{provider}/log", timeout=60).json()["finished"]
    assert stack.http.post(f"{stack.url}/jobs/{job_id}/cancel").status_code == 202
    stack.until(lambda: stack.job(job_id)["status"] == "cancelled", "it is cancelled")
    assert requests.get(f"{provider}/log", timeout=60).json()["finished"] == before


def test_the_secret_is_nowhere(stack, agent, provider):
    """Neither the data directory, nor a log, nor an answer holds the provider key that was put in."""
    secret = "sk-very-secret-0f1e2d3c4b5a69788796a5b4"
    other = stack.agent("secretive", f"{provider}/v1", api_key=secret)
    done = stack.chat(other, "id=secret", Prefer="wait=60")
    assert done.json()["status"] == "succeeded"
    answers = [
        done.text,
        stack.http.get(f"{stack.url}/agents/{other}").text,
        stack.http.get(f"{stack.url}/agents/{other}/llm-config").text,
        stack.http.get(f"{stack.url}/jobs").text,
        stack.said(),
    ]
    assert not any(secret in answer for answer in answers)
    for path in Path(stack.data_dir).rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
