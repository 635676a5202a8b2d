"""From a provider's error status and body to the class of failure. Pure.

Sources, read 2026-11: platform.openai.com/docs/guides/error-codes, docs.anthropic.com/en/api/errors,
platform.minimax.io/docs/api-reference/errorcode, console.groq.com/docs/errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from core.llm.failures import (
    ContentRefused,
    ContextOverflow,
    KeyRefused,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    QuotaUsedUp,
    RateLimited,
)

BUSY = frozenset({408, 498, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
QUOTA_WORDS = (
    "insufficient_quota",
    "billing_hard_limit",
    "billing_not_active",
    "insufficient balance",
    "insufficient_balance",
    "credit balance is too low",
    "exceeded your current quota",
    "spend limit",
    "usage limits",
)
OVERFLOW_WORDS = (
    "context_length_exceeded",
    "maximum context length",
    "prompt is too long",
    "context window",
    "too many tokens",
    "input length and `max_tokens` exceed",
)
CONTENT_WORDS = (
    "content_policy",
    "content_filter",
    "content management policy",
    "content policy",
    "sensitive",
)

MINIMAX_AGAIN = frozenset({1000, 1001, 1002, 1024, 1033})
MINIMAX: dict[int, type[ProviderError]] = {
    1002: RateLimited,
    1004: KeyRefused,
    2049: KeyRefused,
    1008: QuotaUsedUp,
    1026: ContentRefused,
    1027: ContentRefused,
    1039: ContextOverflow,
}


def by_status(status: int, body: Any, headers: Mapping[str, str]) -> ProviderError:
    """The failure that an HTTP answer of 400 and more stands for."""
    said = message(body)
    kind = _kind(status, f"{said} {_codes(body)}".lower())
    return kind(
        said, http_status=status, retry_after=retry_after(headers) if status in (429, 503, 529) else None
    )


def by_base_resp(body: Any) -> ProviderError | None:
    """MiniMax's habit: an error inside a 200, as `base_resp.status_code`."""
    base = body.get("base_resp") if isinstance(body, dict) else None
    code = base.get("status_code") if isinstance(base, dict) else None
    if not isinstance(code, int) or code == 0:
        return None
    said = f"MiniMax {code}: {base.get('status_msg')}" if isinstance(base, dict) else f"MiniMax {code}"
    kind = MINIMAX.get(code, ProviderBusy if code in MINIMAX_AGAIN else ProviderRefused)
    return kind(said, http_status=200)


def by_error_inside(body: Any) -> ProviderError | None:
    """An `error` inside a 200 (OpenRouter, LM Studio), or inside a stream's event."""
    error = body.get("error") if isinstance(body, dict) else None
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else _status_of_type(error)
    kind = _kind(status, f"{message(body)} {_codes(body)}".lower())
    return kind(message(body), http_status=200)


def _status_of_type(error: Any) -> int:
    """Anthropic's names of errors, as they come inside a stream."""
    kind = error.get("type") if isinstance(error, dict) else None
    return {
        "invalid_request_error": 400,
        "authentication_error": 401,
        "permission_error": 403,
        "not_found_error": 404,
        "request_too_large": 413,
        "rate_limit_error": 429,
        "overloaded_error": 529,
    }.get(str(kind), 500)


def _kind(status: int, said: str) -> type[ProviderError]:
    if status == 402 or any(word in said for word in QUOTA_WORDS):
        return QuotaUsedUp
    if status in (401, 403):
        return KeyRefused
    if status == 429:
        return RateLimited
    if status in BUSY or status >= 500:
        return ProviderBusy
    if any(word in said for word in OVERFLOW_WORDS):
        return ContextOverflow
    if any(word in said for word in CONTENT_WORDS):
        return ContentRefused
    return ProviderRefused


def message(body: Any) -> str:
    """The provider's own words, wherever they are."""
    if isinstance(body, dict):
        for found in (body.get("error"), body):
            if isinstance(found, str):
                return found
            if isinstance(found, dict):
                for name in ("message", "detail", "status_msg"):
                    if isinstance(found.get(name), str):
                        return str(found[name])
    return re.sub(r"\s+", " ", str(body))[:500] if body else "no reason given"


def _codes(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return f"{error.get('code')} {error.get('type')}" if isinstance(error, dict) else ""


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, from `retry-after-ms`, or `Retry-After` as seconds or as an HTTP date."""
    try:
        if (millis := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(millis) / 1000)
        given = headers.get("Retry-After")
        if given is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", given):
            return float(given)
        at = parsedate_to_datetime(given)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError):
        return None
