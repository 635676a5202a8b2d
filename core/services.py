"""Services: every client a process holds, born together after the fork and passed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import redis
from pymongo import MongoClient
from pymongo.database import Database
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.config import Settings
from core.crypto import Sealer
from core.llm import keyring, managed
from core.store import free_json
from core.store.remembered import Remembered

Document = dict[str, Any]
Send = Callable[[Mapping[str, Any]], None]
"""Puts a job's id into its lane. Raises `redis.RedisError` when Redis is away."""
Insert = Callable[[Document], None]
"""Inserts a document into the collection that it is for, with what `insert_one` raises."""

T = TypeVar("T")


class Run(Protocol):
    """Carries out what may wait for a disk: elsewhere, where this thread serves others as well."""

    def __call__(self, work: Callable[[], T]) -> T: ...


def here(work: Callable[[], T]) -> T:
    """A `Run` for threads that have nothing else to do."""
    return work()


class Beside(Protocol):
    """Begins work, and gives what waits for its end: that returns, or raises, what the work did."""

    def __call__(self, work: Callable[[], T]) -> Callable[[], T]: ...


def at_once(work: Callable[[], T]) -> Callable[[], T]:
    """A `Beside` that knows no other place: the work is done when this returns."""
    done = work()
    return lambda: done


@dataclass
class Services:
    """What the parts of a process share. Leaves take only what they use, never this whole.

    `keys`: what a worker has just read for its calls, still sealed, for as long as `core.llm.keyring` says.
    """

    settings: Settings
    mongo: MongoClient[Document]
    redis: redis.Redis
    sealer: Sealer
    send: Send
    run: Run = here
    beside: Beside = at_once
    insert_job: Insert | None = None
    keys: Remembered = field(default_factory=lambda: Remembered(kept_s=keyring.KEPT_S))
    cleanups: list[Callable[[], None]] = field(default_factory=list)

    @property
    def db(self) -> Database[Document]:
        return self.mongo[self.settings.mongodb_database]

    def close(self) -> None:
        for cleanup in reversed(self.cleanups):
            cleanup()


def build(settings: Settings, *, send: Send, patience_s: float, redis_client: redis.Redis) -> Services:
    """Make a process's clients. Connects lazily: nothing has to be up yet.

    Raises `BadTiers`, `BadManagedKeys` or `BadEncryptionKey` for settings that can never work.
    `patience_s`: how long one operation waits for MongoDB to be reachable (0.5 in web, more in workers).
    """
    managed.check(settings)
    mongo = connect_mongo(settings, patience_s=patience_s)
    services = Services(settings, mongo, redis_client, Sealer.from_settings(settings), send)
    services.cleanups += [mongo.close, redis_client.close]
    return services


def connect_mongo(settings: Settings, *, patience_s: float, **more: Any) -> MongoClient[Document]:
    """A client whose acknowledged writes are on disk (journaled, by a majority). `more`: driver's options."""
    options: Document = {
        "tz_aware": True,
        "w": "majority",
        "journal": True,
        "readPreference": "primary",  # a claim that reads a secondary would not see what was just accepted
        "serverSelectionTimeoutMS": int(patience_s * 1000),
        "connectTimeoutMS": 2000,
        "socketTimeoutMS": 10_000,
        "appname": "vutler",
        "type_registry": free_json.REGISTRY,
    }
    return MongoClient(settings.mongodb_address, **{**options, **more})


def connect_redis(settings: Settings, *, timeout_s: float = 3.5, retries: int = 0) -> redis.Redis:
    """A client that waits for a free connection instead of failing, and fails at once when Redis is away.

    The stock pool lost 297 of 500 messages to `MaxConnectionsError` under many greenlets, and redis-py's
    own retries take 3.4 s and more when Redis is down (redis-py 8.1, measured).
    """
    pool = redis.BlockingConnectionPool.from_url(
        settings.redis_address,
        max_connections=50,
        timeout=20,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), retries),
        decode_responses=False,
    )
    return redis.Redis.from_pool(pool)
