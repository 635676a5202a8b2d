"""Orders to an agent's own process, each a job on its host, and its log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import redis
import structlog

from core.documents import Agent
from core.errors import Conflict
from core.ids import new_id
from core.jobs.accept import earlier
from core.jobs.document import Job
from core.runtime import log_requests, orders, placement, records
from core.runtime.documents import Record
from web.context import db, services
from web.doors import work

HEARTBEAT_LOOKS = 50
"""So many looks of 0.3 s without a line: a comment is sent, so that proxies keep the connection."""

STILL_HERE = b": still here\n\n"

logger = structlog.get_logger(__name__)


def start(agent: Agent, asked: Mapping[str, Any]) -> Job:
    """No change if it runs. `agent`: one that can be asked."""
    return _ordered("agent_start", agent, asked, lambda id: orders.start(db(), agent, id))


def stop(agent: Agent, asked: Mapping[str, Any], *, purge: bool = False) -> Job:
    """No change if it does not run. `purge`: its state, workspace and logs go too."""
    return _ordered("agent_stop", agent, asked, lambda id: orders.stop(db(), agent, id, purge=purge))


def restart(agent: Agent, asked: Mapping[str, Any]) -> Job:
    """`agent`: one that can be asked."""
    return _ordered("agent_restart", agent, asked, lambda id: orders.start(db(), agent, id))


def message(agent: Agent, asked: Mapping[str, Any]) -> Job:
    """Raises `Conflict` for an agent that does not run."""
    return _ordered("agent_message", agent, asked, lambda _: orders.message(db(), agent))


def log(agent: Agent, *, tail: int, follow: bool) -> tuple[str, Iterator[list[str] | None]]:
    """The agent's host, and its log in pieces: see `core.runtime.log_requests`. Raises `Conflict`."""
    record = records.find(db(), agent["_id"], lean=True)
    if record is None or record["host"] is None:
        raise Conflict("this agent was never started", code="never_started")
    host = record["host"]
    whose = (agent["workspace_id"], agent["_id"])
    return host, log_requests.ask(services().redis, host, *whose, tail=tail, follow=follow)


def told(first: list[str], rest: Iterator[list[str] | None], over: Callable[[], bool]) -> Iterator[bytes]:
    """Lines as Server-Sent Events, each a `line`; the rest is closed with it.

    They end once `over()` says that whoever follows may not go on. Without Redis they end, too, and are
    asked for again.
    """
    quiet = 0
    try:
        yield from map(_line, first) if first else [STILL_HERE]  # headers are sent with the first bytes
        for lines in rest:
            if over():
                break
            quiet = 0 if lines else quiet + 1
            if quiet >= HEARTBEAT_LOOKS:
                quiet = 0
                yield STILL_HERE
            yield from map(_line, lines or [])
    except redis.RedisError as error:
        logger.warning("logs.redis_away", error=type(error).__name__)
    finally:
        rest.close()  # type: ignore[attr-defined] # a generator


def _line(line: str) -> bytes:
    return f"event: line\ndata: {json.dumps(line)}\n\n".encode()


def _ordered(kind: str, agent: Agent, asked: Mapping[str, Any], order: Callable[[str], Record]) -> Job:
    """Write down what is wanted, then accept the job that carries it out, on the host that has the agent."""
    mark = work.idempotency(f"{kind}/{agent['_id']}")
    draft = work.draft(kind, agent, asked, idempotency=mark, on_worker_loss="fail_once_streamed")
    job, job_id = earlier(db(), draft), new_id()
    if job is None:
        host = placement.carrier(db(), order(job_id))
        job, _ = work.accepted(replace(draft, host=host), agent, job_id)
    return job
