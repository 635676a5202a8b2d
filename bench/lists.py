"""How long lists take beside 20,000 jobs: `python -m bench.lists [n] [workspaces]`.

Starts the whole stack with the embedded stores, and puts the jobs, conversations and entries of the audit log
into the store itself: `queued` and `finished`, over a minute that is an hour ago and over 30 days.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis
from pymongo.database import Database

from bench.choices import asked_for_help
from core.clock import utcnow
from core.ids import new_id
from core.jobs.lanes import NEEDED, PREFIX, SINCE, Lanes
from core.jobs.model import born
from core.jobs.overdue import LATEST_RESEND
from core.store.marks import mark
from tests.factory import draft
from tests.stack import Stack

Document = dict[str, Any]

RUNS = 5
OVER = {"a minute, an hour ago": (60, 3600), "30 days": (30 * 86_400, 0)}
STATES = {"queued": ["queued"], "finished": ["succeeded"] * 98 + ["failed", "cancelled"]}
FILTERS = (
    "",
    "?limit=200",
    "?status=queued",
    "?status=running",
    "?status=succeeded",
    "?status=failed",
    "?status=failed&q=ours",
    "?kind=chat",
    "?kind=llm_test",
    "?agent_id=a1",
    "?agent_id=none",
    "?request_id=none",
    "?q=none",
    "?since=2026-01-01T00:00:00Z",
)


def main(n: int = 20_000, workspaces: int = 1) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "data")
        stack.start()
        try:
            stack.http.post(f"{stack.url}/queues/chat/pause", timeout=10).raise_for_status()
            for state, over in ((state, over) for state in STATES for over in OVER):
                with stack.database() as db, stack.redis() as client:
                    fill(db, n, workspaces, state, *OVER[over])
                    send(db, client)
                print(f"{n} {state} jobs of {workspaces} workspaces over {over}")
                show(stack)
        finally:
            stack.stop()


def fill(db: Database[Document], n: int, workspaces: int, state: str, over_s: float, ago_s: float) -> None:
    """Everything that lists show, anew."""
    rows: dict[str, list[Document]] = {"jobs": [], "audit_log": [], "conversations": []}
    for job in jobs(n, workspaces, state, over_s, ago_s):
        rows["jobs"].append(job)
        same = {"_id": job["_id"], "created_at": job["created_at"], **mark(job["_id"])}
        rows["audit_log"].append({**same, "workspace_id": job["workspace_id"], "route": "chat"})
        rows["conversations"].append({**same, "agent_id": "a1", "name": job["_id"]})
    for name, made in rows.items():
        db[name].delete_many({})
        for at in range(0, n, 1000):
            db[name].insert_many(made[at : at + 1000])
    agent = {"workspace_id": "default", "name": "a", "llm_config": None, "created_at": utcnow()}
    db.agents.update_one({"_id": "a1"}, {"$set": agent}, upsert=True)


def jobs(n: int, workspaces: int, state: str, over_s: float, ago_s: float) -> Iterator[Document]:
    now = utcnow() - timedelta(seconds=ago_s)
    for i in range(n):
        whose = "default" if i % workspaces == 0 else f"w{i % workspaces}"
        asked = draft(workspace_id=whose, agent_id=f"a{i % 7}")
        job = born(asked, new_id(), now - timedelta(seconds=over_s * i / n))
        status = STATES[state][i // workspaces % len(STATES[state])]
        error = {"code": "internal", "detail": "an error of ours"} if status == "failed" else None
        # They are sent again, after an outage of Redis, when all was looked at.
        yield {**job, "status": status, "error": error, "send_after": utcnow() + LATEST_RESEND * 0.9}


def send(db: Database[Document], client: redis.Redis) -> None:
    """What is queued waits in its lane, and nothing else does, as if Redis had known it for long."""
    for key in client.scan_iter(f"{PREFIX}:*"):
        client.delete(key)
    lanes = Lanes(client)
    for job in db.jobs.find({"status": "queued"}, dict.fromkeys(NEEDED, 1)):
        lanes.send(job)
    client.set(SINCE, 0)


def show(stack: Stack) -> None:
    """The slowest of some runs, and the median, of each list."""
    paths = [*(f"/jobs{asked}" for asked in FILTERS), "/queues", "/audit-log", "/agents/a1/conversations"]
    for path in paths:
        took = []
        for _ in range(RUNS):
            started = time.perf_counter()
            answer = stack.http.get(f"{stack.url}{path}", timeout=60)
            took.append((time.perf_counter() - started) * 1000)
            answer.raise_for_status()
        print(
            f"  {path:40} {len(answer.json()['items']):4} items  {statistics.median(took):7.0f} ms"
            f"  at most {max(took):.0f}",
            flush=True,
        )


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:]):
        main(*map(int, sys.argv[1:]))
