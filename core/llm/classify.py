"""From a provider's error status and body to the class of failure. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from core.llm.failures import (
    ContentRefused,
    ContextOverflow,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    QuotaUsedUp,
)
from core.llm.plain import mapping, storable, text
from core.llm.signs import (
    BUSY,
    CONTENT_WORDS,
    KINDS,
    MINIMAX,
    MISTAKE_WORDS,
    OVERFLOW_WORDS,
    QUOTA_WORDS,
    STATUS_OF_TYPE,
    UNKNOWN,
)


def by_status(status: int, body: Any, headers: Mapping[str, str]) -> ProviderError:
    """The failure that an HTTP answer with a status of 400 or more stands for."""
    wait = retry_after(headers) if status in (429, 503, 529) else None
    failure = by_base_resp(body) or _kind(status, body)(message(body))
    failure.http_status, failure.retry_after = status, wait
    return failure


def by_base_resp(body: Any) -> ProviderError | None:
    """MiniMax's habit: an error inside a 200, as `base_resp.status_code`."""
    base = mapping(mapping(body).get("base_resp"))
    code = _number(base.get("status_code"))
    if not code:
        return None
    said = text(base.get("status_msg")) or "no reason given"
    return MINIMAX.get(code, ProviderRefused)(f"MiniMax {code}: {said}", http_status=200)


def by_error_inside(body: Any) -> ProviderError | None:
    """An `error` inside a 200 (OpenRouter, LM Studio), or inside a stream's event."""
    error = mapping(body).get("error")
    if not error:
        return None
    code = _number(mapping(error).get("code"))
    status = code if code is not None and 400 <= code < 600 else _status_of_type(mapping(error))
    return _kind(status, body)(message(body), http_status=200)


def _status_of_type(error: dict[str, Any]) -> int:
    found = (STATUS_OF_TYPE.get(text(error.get(name))) for name in ("type", "code"))
    return next((status for status in found if status), UNKNOWN)


def _number(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _kind(status: int, body: Any) -> type[ProviderError]:
    """The body's words come first: vendors use one status for several things."""
    said = f"{message(body)} {_codes(body)}".lower()
    for applies, words, kind in (
        (True, QUOTA_WORDS, QuotaUsedUp),
        (status in (UNKNOWN, 400, 403, 422), CONTENT_WORDS, ContentRefused),
        (status not in (401, 402, 403, 429), OVERFLOW_WORDS, ContextOverflow),
        (status == UNKNOWN, MISTAKE_WORDS, ProviderRefused),
    ):
        if applies and any(word in said for word in words):
            return kind
    if status in BUSY or status >= 500 or status == UNKNOWN:
        return ProviderBusy
    return KINDS.get(status, ProviderRefused)


def message(body: Any) -> str:
    """The provider's own words, wherever the body has them."""
    for found in (mapping(body).get("error"), body):
        if isinstance(found, str) and found:
            return _one_line(found)
        for name in ("message", "detail", "status_msg"):
            if said := text(mapping(found).get(name)):
                return said
    return _one_line(str(storable(body))) if body else "no reason given"


def _one_line(said: str) -> str:
    return re.sub(r"\s+", " ", text(said))[:500]


def _codes(body: Any) -> str:
    """`details.error_code` is Anthropic's, `metadata.error_type` OpenRouter's."""
    error = mapping(mapping(body).get("error"))
    finer = mapping(error.get("details")).get("error_code"), mapping(error.get("metadata")).get("error_type")
    return " ".join(text(found) for found in (error.get("code"), error.get("type"), *finer))


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, from `retry-after-ms`, or `Retry-After` as seconds or as an HTTP date."""
    millis, given = headers.get("retry-after-ms"), headers.get("Retry-After")
    try:
        seconds = float(millis) / 1000 if millis is not None else _seconds(given, now)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds) if seconds is not None and math.isfinite(seconds) else None


def _seconds(given: str | None, now: datetime | None) -> float | None:
    if given is None:
        return None
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", given):
        return float(given)
    at = parsedate_to_datetime(given)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - (now or datetime.now(UTC))).total_seconds()
