"""The circuit breaker: a provider that has been failing lately is asked last. Processes share it in Redis.

The breaker of a provider at an endpoint opens after five failures in a row, each within 30 s of the one
before, whoever asked. Only failures that speak against the provider's health count, never a 4xx. An open
provider is not left out, but moved to the end of the chain: when all are open, all are asked in their usual
order. Every ten seconds one call asks it in its usual place, and the first success closes the breaker. When
Redis is away or slow, the router works as if there were no breaker.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import redis
import structlog

from core.llm.failures import ProviderError
from core.llm.types import Target

FAILURES = 5
IN_A_ROW_WITHIN_S = 30
PROBE_EVERY_S = 10.0
FORGOTTEN_AFTER_S = 300
FRESH_S = 1.0
REST_S = 5.0
REMEMBERED = 1000
ONCE_OPEN = "vutler:breakers"
"""The names of breakers that were opened; some have closed by themselves since."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Known:
    """What Redis said at `at`, by the monotonic clock."""

    at: float
    failures: int
    open: bool


class Breaker:
    """One a process. It trusts what Redis said for a second, so that a call needs no round trip of its own.

    `client` should give up soon (a tenth of a second): after one failure Redis is left alone for five.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        probe_every_s: float = PROBE_EVERY_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.probe_every_ms = int(probe_every_s * 1000)
        self.now = now
        self._known: dict[str, _Known] = {}
        self._looking = threading.Lock()
        self._rests_until = 0.0

    def order(self, targets: Sequence[Target]) -> list[Target]:
        """The targets in the order in which to ask them."""
        self._look({_name(target) for target in targets})
        shut = [target for target in targets if self._is_open(_name(target))]
        if not shut or len(shut) == len(targets):
            return list(targets)
        last = [target for target in shut if not self._may_probe(_name(target))]
        return [target for target in targets if target not in last] + last

    def succeeded(self, target: Target) -> None:
        """Close it again, if there was anything against it."""
        name = _name(target)
        known = self._known.get(name)
        if known is None or not (known.failures or known.open):
            return
        self._known[name] = _Known(self.now(), 0, False)
        self._ask(lambda: self._shut(name))
        if known.open:
            log.info("breaker.closed", endpoint=name)

    def failed(self, target: Target, error: ProviderError) -> None:
        """Count a failure that speaks against the provider's health."""
        if not error.unwell or 400 <= (error.http_status or 0) < 500:
            return
        name = _name(target)
        _, failures = _keys(name)
        was_open = self._is_open(name)
        count = self._ask(lambda: self._counted(failures))
        if count is None:
            return
        if was_open or count >= FAILURES:
            self._ask(lambda: self._open(name))
            if not was_open:
                log.warning("breaker.open", endpoint=name, provider=target.provider, failures=count)
        self._known[name] = _Known(self.now(), count, was_open or count >= FAILURES)

    def _look(self, names: set[str]) -> None:
        """Ask Redis about these, unless its last answer is fresh or another call is asking just now."""
        now = self.now()
        stale = [n for n in sorted(names) if n not in self._known or now - self._known[n].at >= FRESH_S]
        if not stale or not self._looking.acquire(blocking=False):
            return
        try:
            said = self._ask(lambda: self.client.mget([key for name in stale for key in _keys(name)]))
        finally:
            self._looking.release()
        if said is None:
            return
        if len(self._known) > REMEMBERED:
            self._known.clear()
        for n, name in enumerate(stale):
            self._known[name] = _Known(now, int(said[2 * n + 1] or 0), said[2 * n] is not None)

    def _is_open(self, name: str) -> bool:
        known = self._known.get(name)
        return known is not None and known.open

    def _may_probe(self, name: str) -> bool:
        took = self._ask(lambda: self.client.set(_probe(name), 1, nx=True, px=self.probe_every_ms))
        return bool(took)

    def _counted(self, failures: str) -> int:
        with self.client.pipeline(transaction=False) as pipe:
            pipe.incr(failures)
            pipe.expire(failures, IN_A_ROW_WITHIN_S)
            return int(pipe.execute()[0])

    def _open(self, name: str) -> bool:
        with self.client.pipeline(transaction=False) as pipe:
            pipe.set(_keys(name)[0], 1, ex=FORGOTTEN_AFTER_S)
            pipe.set(_probe(name), 1, px=self.probe_every_ms)
            pipe.sadd(ONCE_OPEN, name)
            return bool(pipe.execute())

    def _shut(self, name: str) -> bool:
        with self.client.pipeline(transaction=False) as pipe:
            pipe.delete(*_keys(name), _probe(name))
            pipe.srem(ONCE_OPEN, name)
            return bool(pipe.execute())

    def _ask(self, what: Callable[[], Any]) -> Any:
        """What Redis answers. When it does not: None, and what it said earlier is forgotten."""
        if self.now() < self._rests_until:
            return None
        try:
            return what()
        except redis.RedisError as error:
            log.warning("breaker.redis_away", error=type(error).__name__)
            self._rests_until = self.now() + REST_S
            self._known.clear()
            return None


def opened(client: redis.Redis, addresses: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of these (provider, address) whose breaker is open; none while Redis is away."""
    asked = sorted(addresses)
    if not asked:
        return []
    try:
        said = client.mget([_keys(_named(*one))[0] for one in asked])
    except redis.RedisError as error:
        log.warning("breaker.redis_away", error=type(error).__name__)
        return []
    return [one for one, state in zip(asked, said, strict=True) if state is not None]


def open_now(client: redis.Redis) -> Counter[str]:
    """How many are open, by provider. Raises `redis.RedisError`."""
    kept: Any = client.smembers(ONCE_OPEN)
    names = sorted(name.decode() for name in kept)
    marks: Any = client.mget([_keys(name)[0] for name in names]) if names else []
    over = [name for name, mark in zip(names, marks, strict=True) if mark is None]
    if over:
        client.srem(ONCE_OPEN, *over)
    return Counter(name.partition(":")[0] for name in names if name not in over)


def _name(target: Target) -> str:
    return _named(target.provider, target.base_url)


def _named(provider: str, base_url: str) -> str:
    """The address is hashed: a user's own address may hold what others should not read in a log."""
    return f"{provider}:{hashlib.sha256(base_url.encode()).hexdigest()[:16]}"


def _keys(name: str) -> tuple[str, str]:
    return f"vutler:breaker:{name}:open", f"vutler:breaker:{name}:failures"


def _probe(name: str) -> str:
    return f"vutler:breaker:{name}:probe"
