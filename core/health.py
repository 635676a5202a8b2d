"""Health: what this process needs, and whether it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
import structlog
from pymongo.database import Database
from pymongo.errors import PyMongoError

Document = dict[str, Any]

log = structlog.get_logger(__name__)


def check(db: Database[Document], client: redis.Redis, sealing: Callable[[], str] | None = None) -> Document:
    """`{"status": "ready" | "not_ready", "checks": {"mongodb": "ok" | <error's type>, …}}`.

    `sealing()`: `ok`, or what is wrong with the encryption key.
    """
    checks = {
        "mongodb": _answers("mongodb", lambda: db.command("ping")),
        "redis": _answers("redis", client.ping),
    }
    if sealing is not None and checks["mongodb"] == "ok":
        try:
            checks["encryption_key"] = sealing()
        except PyMongoError as error:  # a store may answer a ping, and refuse all else
            log.warning("health.refused", dependency="mongodb", error=type(error).__name__)
            checks["mongodb"] = type(error).__name__
    ready = all(said == "ok" for said in checks.values())
    return {"status": "ready" if ready else "not_ready", "checks": checks}


def _answers(name: str, ask: Callable[[], object]) -> str:
    try:
        ask()
    except (PyMongoError, redis.RedisError) as error:
        log.warning("health.no_answer", dependency=name, error=type(error).__name__)
        return type(error).__name__
    return "ok"
