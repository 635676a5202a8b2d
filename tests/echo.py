"""A kind of job that no other code knows: a row of the table and a handler. Also a worker that takes it.

`python -m tests.echo` serves the role `echo`, in threads, on the queue of its host, until told to stop.
"""

from __future__ import annotations

import sys
from typing import Any

from core.jobs import kinds
from core.jobs.run import Run
from workers import main, roles

ROW = kinds.Kind(
    "echo",
    home="tests.echo",
    role="echo",
    queue="echo",
    by_host=True,
    isolated=False,
    result="said: what was said; attempt",
    said=("said",),
    time_limit=lambda settings: 600.0,
)
ROLE = roles.Role("echo", slots=2, green=False)


def handlers(services: Any) -> dict[str, Any]:
    return {"echo": echo}


def echo(run: Run) -> dict[str, Any]:
    """Says again what was said. One that `waits` does so once it was `let_go`, unless it is stopped."""
    while run.job["request"].get("waits") and not run.services.redis.exists(run.job["_id"]):
        if run.told_to_stop.wait(0.05):
            raise InterruptedError
    return {"said": run.job["request"]["say"], "attempt": run.job["attempt"]}


def let_go(redis_client: Any, job_id: str) -> None:
    """The job of this id waits no longer."""
    redis_client.set(job_id, "go")


def place(db: Any, job: Any) -> str | None:
    """The first living host."""
    process = db.processes.find_one({"dead": False, "role": "echo"}, sort=[("host", 1)])
    return process["host"] if process else None


def add() -> None:
    """Put the kind and its role into the tables."""
    kinds.KINDS["echo"] = ROW
    roles.ROLES["echo"] = ROLE


if __name__ == "__main__":
    from tests.echo import add as add_once  # the module that `home` names, not `__main__`

    add_once()
    sys.exit(main.main(["echo"]))
