"""Limits of a key: requests and tokens a minute, counted in Redis. While Redis is away nobody is limited.

Windows are whole minutes. A chat reserves an estimate of its tokens when it is accepted. `settle` corrects
the estimate by what the chat has used, if that is known within the same minute.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
import structlog

from core import tokens
from core.accounts.keys import Caller
from core.errors import RateLimited

Document = dict[str, Any]

WINDOW_S = 60

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Standing:
    """How a key stands in this window. `name`: `requests` or `tokens`."""

    name: str
    limit: int
    remaining: int
    reset_s: int

    def public(self) -> Document:
        """As the API shows it."""
        left = max(self.remaining, 0)
        return {"name": self.name, "limit": self.limit, "remaining": left, "resets_in_s": self.reset_s}


def take_request(client: redis.Redis, caller: Caller, now: float | None = None) -> Standing | None:
    """Count a request. None: the key has no limit. `remaining` below zero: this request is too many."""
    if caller.rpm is None:
        return None
    return _take(client, "requests", caller.key_id, 1, caller.rpm, now)


def reserve_tokens(
    client: redis.Redis, caller: Caller, tokens: int, now: float | None = None
) -> Standing | None:
    """Count a chat's estimated tokens. None: the key has no limit. `remaining` below zero: too many."""
    if caller.tpm is None:
        return None
    standing = _take(client, "tokens", caller.key_id, tokens, caller.tpm, now)
    if standing is not None and standing.remaining < 0:
        _add(client, "tokens", caller.key_id, -tokens, now)
    return standing


def look(client: redis.Redis, caller: Caller, now: float | None = None) -> list[Standing]:
    """How a key stands, without counting anything; empty for a key without limits."""
    asked = {"requests": caller.rpm, "tokens": caller.tpm}
    found = (
        _take(client, name, caller.key_id, 0, limit, now)
        for name, limit in asked.items()
        if limit is not None
    )
    return [standing for standing in found if standing is not None]


def estimate(asked: Mapping[str, Any]) -> int:
    """The tokens that a chat may take: those that it says, and those of the longest answer it asks for."""
    return tokens.about(asked.get("messages") or [], asked.get("tools")) + (asked.get("max_tokens") or 0)


def reservation(tokens: int, now: float | None = None) -> Document:
    """What a job keeps of its reservation, so that `settle` finds the window."""
    return {"tokens": tokens, "window": _window(now)}


def settle(client: redis.Redis, job: Mapping[str, Any], used: int) -> None:
    """Correct a job's reservation by the tokens that it used. A job without a reservation is left alone."""
    reserved = job["plan"].get("reserved")
    if reserved is not None and reserved["window"] == _window(None):
        _add(client, "tokens", job["created_by"], used - reserved["tokens"], None)


def exceeded(standing: Standing) -> RateLimited:
    """The error to raise when nothing remains."""
    return RateLimited(
        f"this key may use {standing.limit} {standing.name} a minute", retry_after=standing.reset_s
    )


def _take(
    client: redis.Redis, name: str, key_id: str, n: int, limit: int, now: float | None
) -> Standing | None:
    total = _add(client, name, key_id, n, now)
    if total is None:
        return None
    left = WINDOW_S - int((time.time() if now is None else now) % WINDOW_S)
    return Standing(name, limit, limit - total, left)


def _add(client: redis.Redis, name: str, key_id: str, n: int, now: float | None) -> int | None:
    """Add to this window's count, in one round trip. Returns the sum; None: Redis is away."""
    counter = f"vutler:limit:{name}:{key_id}:{_window(now)}"
    try:
        with client.pipeline(transaction=False) as pipe:
            pipe.incrby(counter, n)
            pipe.expire(counter, 2 * WINDOW_S)
            return int(pipe.execute()[0])
    except redis.RedisError as error:
        log.warning("limits.open", error=type(error).__name__)
        return None


def _window(now: float | None) -> int:
    return int((time.time() if now is None else now) // WINDOW_S)
