"""Limits at the door: wrong keys per address; requests and tokens per key."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, g

from core.accounts import limits
from core.errors import RateLimited
from web.context import caller, services

WINDOW_S = 60.0
MOST_ADDRESSES = 10_000


class FailedLogins:
    """Counts wrong keys per address, within this process. Who has a right one is never slowed down."""

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self.now = now
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, address: str | None) -> None:
        """One more wrong key from this address. Raises `RateLimited` when there were too many before."""
        group, now = _group(address), self.now()
        began, count = self._seen.pop(group, (now, 0))
        if now - began >= WINDOW_S:
            began, count = now, 0
        self._seen[group] = (began, count + 1)
        if len(self._seen) > MOST_ADDRESSES:
            self._seen.popitem(last=False)
        if count >= self.per_minute:
            left = int(began + WINDOW_S - now)
            raise RateLimited("too many wrong keys from this address", retry_after=left + 1)


def register(app: Flask) -> None:
    """Tell the callers of limited keys how they stand."""
    app.after_request(_tell)


def take_request() -> None:
    """Count this request. Raises `RateLimited`."""
    _account(limits.take_request(services().redis, caller()))


def reserve_tokens(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Reserve a chat's tokens; what its job carries, None for a key without a limit. Raises `RateLimited`."""
    if caller().tpm is None:
        return None
    tokens = limits.estimate(asked)
    _account(limits.reserve_tokens(services().redis, caller(), tokens))
    return limits.reservation(tokens)


def _account(standing: limits.Standing | None) -> None:
    if standing is None:
        return
    g.setdefault("standings", []).append(standing)
    if standing.remaining < 0:
        raise limits.exceeded(standing)


def _tell(response: Response) -> Response:
    """The headers of draft-ietf-httpapi-ratelimit-headers-10 (read 2026-11)."""
    standings: list[limits.Standing] = g.get("standings", [])
    if standings:
        policies = (f'"{s.name}";q={s.limit};w={limits.WINDOW_S}' for s in standings)
        stands = (f'"{s.name}";r={max(s.remaining, 0)};t={s.reset_s}' for s in standings)
        response.headers["RateLimit-Policy"] = ", ".join(policies)
        response.headers["RateLimit"] = ", ".join(stands)
    return response


def _group(address: str | None) -> str:
    """An IPv4 address, or the /64 of an IPv6 one, which is what one customer has."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
