"""A run against the whole stack in which workers are killed all the time, and the books that must balance.

The suite does it with few jobs, `bench/ledger.py` with many. The provider counts for itself, call by call;
what it counted is then found in the ledger, or among the calls that may have been charged, job by job.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests
from pymongo import MongoClient

from core.jobs import signals
from core.jobs.model import DONE, QUEUED, RUNNING
from core.metering.calls import calls_of, consumed
from core.metering.entered import waits
from core.metering.sums import exact
from tests.stack import ROOT, Stack, free_ports, wait_for_port
from tests.waiting import LONG_S, subscribed, until

TOKENS = 17
"""What the provider reports for each answer."""
QUIET_FROM = 0.95
"""The share of ended jobs from which nobody is killed any more: the rest must come to its end by itself."""


@dataclass(frozen=True)
class Plan:
    """`workers`: chat workers beside the stack's own; one of all of them is killed every `kill_every_s`.

    One more is frozen past its lease: it learns its answers when its jobs are others' already.
    """

    jobs: int
    clients: int
    workers: int
    kill_every_s: float = 2.0
    redis_restarts: int = 2
    within_s: float = LONG_S


class Workers:
    """Chat workers of the stack's, started again whenever they are gone. The first is frozen once."""

    def __init__(self, stack: Stack, n: int) -> None:
        self.stack = stack
        self.kills = 0
        self.frozen: subprocess.Popen[bytes] | None = None
        self._own = [self._started() for _ in range(n)]

    def ready(self, db: Any, n: int) -> None:
        """Wait until so many, the stack's among them, listen for what they are handed."""
        living = {"role": "chat", "dead": False}
        self.stack.until(lambda: db.processes.count_documents(living) >= n, "the workers live")
        with contextlib.closing(self.stack.redis()) as client:
            for one in db.processes.find(living):
                subscribed(client, signals.process_channel(one["_id"]))

    def revive(self) -> None:
        """Start again what was killed."""
        self._own = [self._started() if one.poll() is not None else one for one in self._own]

    def kill_one(self) -> None:
        pids = [one.pid for one in self._own] + self.stack.pids("workers.main", "chat")
        with contextlib.suppress(ProcessLookupError):
            os.kill(random.choice(pids), signal.SIGKILL)
            self.kills += 1

    def freeze_one_at_work(self, db: Any) -> None:
        """Stop a worker that has calls under way, so that it loses its jobs and knows their answers later."""
        worker = self._own.pop(0)
        self._own.append(self._started())
        mine = {"status": RUNNING, "owner": db.processes.find_one({"pid": worker.pid})["_id"]}

        def holds_jobs() -> bool:
            os.kill(worker.pid, signal.SIGCONT)
            if db.jobs.find_one(mine) is None:
                return False
            os.kill(worker.pid, signal.SIGSTOP)
            return db.jobs.find_one(mine) is not None  # and not ended meanwhile

        self.stack.until(holds_jobs, "a worker is frozen at work", every=0.01)
        self.frozen = worker

    def thaw_once_dead(self, db: Any) -> None:
        """Let the frozen one go on when it was declared dead, before its calls run into their deadlines."""
        if self.frozen is not None and db.processes.find_one({"pid": self.frozen.pid, "dead": True}):
            self.frozen.send_signal(signal.SIGCONT)

    def gone(self, db: Any) -> bool:
        """Has the frozen one found that it was declared dead, and ended itself?"""
        self.thaw_once_dead(db)
        return self.frozen is None or self.frozen.poll() is not None

    def close(self) -> None:
        for process in [*self._own, *([self.frozen] if self.frozen else [])]:
            process.kill()
            process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "workers.main", "chat"],
            cwd=ROOT,
            env=self.stack.environment,
            stdout=self.stack.log,
            stderr=subprocess.STDOUT,
        )


@contextlib.contextmanager
def provider() -> Iterator[str]:
    """The counting provider as a process; its address."""
    port = free_ports(1)
    process = subprocess.Popen([sys.executable, "tests/providers/counting.py", str(port)], cwd=ROOT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for_port(port, what="the counting provider", alive=lambda: process.poll() is None)
        yield address
    finally:
        process.kill()
        process.wait()


def run(folder: Path, plan: Plan) -> dict[str, Any]:
    """Carry it out; the books, which `balance` then looks at."""
    with provider() as address:
        stack = Stack(
            folder / "data",
            embedded=("REDIS_URL",),
            without=("drive", "runtime", "sandbox"),
            LEASE_S="6",
            BEAT_S="1",
            WORKER_GRACE_S="2",
            MANAGED_LLM_KEYS=json.dumps({"openai": "sk-managed-0123456789"}),
            MANAGED_LLM_URLS=json.dumps({"openai": f"{address}/v1"}),
        )
        stack.start()
        workers = Workers(stack, plan.workers)
        try:
            with MongoClient(stack.settings().mongodb_address, tz_aware=True) as mongo:
                return _carry_out(stack, workers, mongo[stack.settings().mongodb_database], address, plan)
        finally:
            workers.close()
            stack.stop()


def _carry_out(stack: Stack, workers: Workers, db: Any, address: str, plan: Plan) -> dict[str, Any]:
    workers.ready(db, 1 + plan.workers)
    agent = _posted(stack, "agents", {"name": "a", "llm_config": {"managed": True, "tier": "standard"}})["id"]
    budget = {"budget_usd": 100, "budget_period": "month"}  # of every other client: its jobs take no places
    asked = [{"role": "member", **(budget if n % 2 else {})} for n in range(plan.clients)]
    keys = [_posted(stack, "keys", one)["key"] for one in asked]
    started = time.monotonic()
    stop = threading.Event()
    with ThreadPoolExecutor(plan.clients + 1) as pool:
        killing = pool.submit(_kill, stack, workers, db, plan, stop)
        try:
            list(pool.map(lambda n: _client(stack, agent, keys[n], plan, n), range(plan.clients)))
            accepted = time.monotonic() - started
            stack.until(lambda: _ended(db) >= plan.jobs, "all jobs ended", seconds=plan.within_s, every=2)
        finally:
            stop.set()
        killing.result()
    stack.until(lambda: workers.gone(db), "the frozen worker ended itself")
    stack.until(lambda: all_entered(db), "all are in the ledger")
    asked_for = stack.http.post(f"{stack.url}/scheduler/budgets/run")
    assert asked_for.status_code == 202, asked_for.text
    stack.until(lambda: not any(one["pending"] for one in db.budgets.find()), "budgets are settled")
    month = "usage/audit?period=month"
    books = {
        "accepted_s": accepted,
        "all_s": time.monotonic() - started,
        "kills": workers.kills,
        "jobs": list(db.jobs.find({}, {"plan": 0})),
        "rows": list(db.token_usage.find()),
        "budgets": list(db.budgets.find()),
        "seen": requests.get(f"{address}/log", timeout=60).json()["calls"],
        "audit": stack.http.get(f"{stack.url}/{month}").json(),
        "summary": stack.http.get(f"{stack.url}/usage/summary").json(),
    }
    stack.until(lambda: not db.usage_allowances.count_documents({"open": True}), "allowances computed")
    return {**books, "allowances": list(db.usage_allowances.find())}


def all_entered(db: Any) -> bool:
    """Is every job that has ended in the ledger?"""
    waiting = waits(db)
    return not any(waiting(job) for job in db.jobs.find({"meter": {"$gt": ""}}, {"meter": 1}))


def _posted(stack: Stack, what: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = stack.http.post(f"{stack.url}/{what}", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _client(stack: Stack, agent: str, key: str, plan: Plan, n: int) -> None:
    """Every `clients`th job, one after another: the same idempotency key until it is accepted."""
    with requests.Session() as http:
        http.trust_env = False
        http.headers["Authorization"] = f"Bearer {key}"
        for i in range(n, plan.jobs, plan.clients):
            body = {"message": f"id=j-{i} delay=0.3", "max_tokens": 50}
            _accepted(http, f"{stack.url}/agents/{agent}/chat", body, f"j-{i}", plan.within_s)


def _accepted(http: requests.Session, url: str, body: dict[str, Any], mark: str, seconds: float) -> None:
    def accepted() -> bool:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            headers = {"Idempotency-Key": mark, "Prefer": "wait=30"}
            answer = http.post(url, json=body, headers=headers, timeout=90)
            assert answer.status_code in (200, 202, 503), answer.text
            return answer.status_code != 503
        return False

    until(accepted, f"{mark} is accepted", seconds=seconds, every=0.3)


def _kill(stack: Stack, workers: Workers, db: Any, plan: Plan, stop: threading.Event) -> None:
    workers.freeze_one_at_work(db)
    restarts = 0
    while not stop.wait(plan.kill_every_s):
        workers.thaw_once_dead(db)
        ended = _ended(db) / plan.jobs
        if ended >= QUIET_FROM:
            workers.revive()
            continue
        workers.kill_one()
        if restarts < plan.redis_restarts and ended >= (restarts + 1) / (plan.redis_restarts + 2):
            restarts += len(stack.kill("valkey-server"))
        workers.revive()


def _ended(db: Any) -> int:
    """Counted by those that have not: there are few of them."""
    under_way = sum(db.jobs.count_documents({"status": status}) for status in (QUEUED, RUNNING))
    return int(db.jobs.estimated_document_count()) - under_way


def balance(books: dict[str, Any]) -> dict[str, int]:
    """Every call is accounted for, by its id; the figures."""
    kept, unkept, maybe, never_made = _calls(books)
    rows = {row["_id"]: row for row in books["rows"]}
    assert len(rows) == len(books["rows"])
    assert {name for name, row in rows.items() if row["kept"]} == kept
    assert {name for name, row in rows.items() if not row["kept"]} == unkept
    assert {row["tokens_total"] for row in books["rows"] if row["usage_status"] == "reported"} <= {TOKENS}
    _audit_agrees(books["audit"], len(rows), maybe)
    _sums_agree(books, [row for row in books["rows"] if row["kept"]])
    return {
        "jobs": len(books["jobs"]),
        "succeeded": sum(job["status"] == "succeeded" for job in books["jobs"]),
        "in_a_row": sum("place" in job for job in books["jobs"]),
        "kills": books["kills"],
        "owners_lost": sum(len(job.get("lost", ())) for job in books["jobs"]),
        "provider_saw": sum(books["seen"].values()),
        "rows_kept": len(kept),
        "rows_not_kept": len(unkept),
        "possibly_charged": len(maybe),
        "of_them_never_made": never_made,
    }


def _calls(books: dict[str, Any]) -> tuple[set[str], set[str], set[str], int]:
    """Ids of calls: kept, not kept, possibly charged; and how many of the last the provider never saw.

    Job by job, the provider saw what is in the ledger, and nothing that is not at least listed.
    """
    kept: set[str] = set()
    unkept: set[str] = set()
    maybe: set[str] = set()
    never_made = 0
    for job in books["jobs"]:
        assert job["status"] in DONE
        used = {name: its for name, call, its in calls_of(job) if consumed(call)}
        unsure = {name for name, call, _ in calls_of(job) if call["possibly_charged"]}
        sure = used.keys() - unsure
        told = {call["attempt"] for _, call, _ in calls_of(job)}
        lost = [one["attempt"] for one in job.get("lost", ()) if one["attempt"] not in told]
        unsure |= {f"{job['_id']}:{attempt}" for attempt in lost}
        seen = books["seen"].get(_mark(job), 0)
        assert len(sure) <= seen <= len(sure) + len(unsure), (job["_id"], seen, used, unsure)
        never_made += len(sure) + len(unsure) - seen
        kept |= {name for name, its in used.items() if its}
        unkept |= {name for name, its in used.items() if not its}
        maybe |= unsure
        if job["status"] == "succeeded":
            assert sum(call["outcome"] == "ok" for call in job["calls"]) == 1, job
    assert set(books["seen"]) <= {_mark(job) for job in books["jobs"]}
    return kept, unkept, maybe, never_made


def _mark(job: dict[str, Any]) -> str:
    text: str = job["request"]["messages"][-1]["content"]
    return text.split("id=")[1].split()[0]


def _audit_agrees(audit: dict[str, Any], rows: int, maybe: set[str]) -> None:
    assert audit["equal"], audit
    assert (audit["calls"], audit["rows"], audit["pending"]) == (rows, rows, 0)
    assert audit["possibly_charged"] == len(maybe)
    assert {call["id"] for call in audit["possibly_charged_calls"]} <= maybe


def _sums_agree(books: dict[str, Any], kept: list[dict[str, Any]]) -> None:
    """Summary, allowance and budgets are the ledger, to the last token and to the last decimal."""
    assert {row["tokens_total"] for row in kept if row["usage_status"] == "reported"} == {TOKENS}
    tokens = sum(row["tokens_total"] for row in kept)
    assert books["summary"]["totals"]["tokens_total"] == tokens
    assert sum(one["used"] for one in books["allowances"]) == tokens
    bounded = {one["key_id"] for one in books["budgets"]}
    cost = sum((exact(row["cost"]) for row in kept if row["key_id"] in bounded), Decimal(0))
    assert sum((exact(one["spent"]) for one in books["budgets"]), Decimal(0)) == cost > 0
    assert all(exact(one["used"]) == exact(one["spent"]) for one in books["budgets"])
