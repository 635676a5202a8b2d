"""From a provider's error status and body to the class of failure. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

from core.llm.failures import (
    ContentRefused,
    ContextOverflow,
    KeyRefused,
    ProviderBusy,
    ProviderError,
    ProviderRateLimited,
    ProviderRefused,
    QuotaUsedUp,
)
from core.llm.plain import mapping, mappings, text
from core.llm.signs import (
    BUSY,
    CONTENT_WORDS,
    KEY_WORDS,
    KINDS,
    MINIMAX,
    MISTAKE_WORDS,
    OVERFLOW_WORDS,
    QUOTA_WORDS,
    RATE_WORDS,
    STATUS_OF_TYPE,
    UNKNOWN,
)

WORDS = ("message", "detail", "status_msg", "msg", "error_msg", "error_message")
"""The fields in which vendors say what is wrong."""
LONGEST = 2000
"""Characters of a provider's words that are read."""
LONGEST_WAIT = 30 * 86_400.0
"""Seconds. Whoever asks for more says "not soon", and may say it in more digits than can be kept."""
TRY_AGAIN = re.compile(r"try again in (?:(\d{1,4})m)?(\d{1,6}(?:\.\d{1,9})?)(ms|s)\b", re.IGNORECASE)
MOST_SHOWN = 100
"""Pieces of a body without words: a bracket, a name, a value."""


def by_status(status: int, body: Any, headers: Mapping[str, str]) -> ProviderError:
    """The failure that an HTTP answer with a status of 400 or more stands for."""
    body = _within(body)
    failure = by_base_resp(body) or _kind(status, body)(message(body))
    failure.http_status, failure.retry_after = status, _wait(status, failure, body, headers)
    return failure


def by_base_resp(body: Any) -> ProviderError | None:
    """MiniMax's habit: an error inside a 200, as `base_resp.status_code`."""
    base = mapping(mapping(body).get("base_resp"))
    code = _number(base.get("status_code"))
    if not code:
        return None
    said = _words(base.get("status_msg")) or "no reason given"
    return MINIMAX.get(code, ProviderRefused)(f"MiniMax {code}: {said}", http_status=200, by_provider=True)


def by_error_inside(body: Any) -> ProviderError | None:
    """An `error` inside a 200 (OpenRouter, LM Studio), or inside a stream's event; Google's is in a list."""
    body = _within(body)
    error = mapping(body).get("error")
    if not error:
        return None
    return _inside(mapping(error), body)


def by_error_alone(body: Any) -> ProviderError | None:
    """An error inside a 200 that stands in the body itself (vLLM, and gateways): no answer has its fields."""
    body = mapping(_within(body))
    code = _number(body.get("code") or body.get("status"))
    if text(body.get("object")).startswith("chat.completion"):
        return None
    says_so = "error" in (body.get("object"), body.get("type")) or (code is not None and code >= 400)
    if not says_so and not any(_words(body.get(name)) for name in WORDS):
        return None
    return _inside(body, body)


def _inside(error: dict[str, Any], body: Any) -> ProviderError:
    found = (_number(error.get(name)) for name in ("code", "status", "status_code"))
    code = next((one for one in found if one is not None and 400 <= one < 600), None)
    kind = _kind(code or _status_of_type(error), body)
    failure = kind(message(body), http_status=200, by_provider=True)
    failure.retry_after = _wait(code or 200, failure, body, {})
    return failure


def _within(body: Any) -> Any:
    """The error of a list of one, as Google sends it."""
    return body[0] if isinstance(body, list) and body and isinstance(body[0], dict) else body


def _status_of_type(error: dict[str, Any]) -> int:
    found = (STATUS_OF_TYPE.get(text(error.get(name))) for name in ("type", "code"))
    return next((status for status in found if status), UNKNOWN)


def _number(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _kind(status: int, body: Any) -> type[ProviderError]:
    """The body's words come first: vendors use one status for several things.

    The key and the quota that a gateway's provider speaks of are the gateway's.
    """
    own = f"{_told(body)} {_codes(body)}".lower()
    said = f"{own} {_beneath(body)}".lower()
    for applies, told, words, kind in (
        (_retry_delay(body) is None, own, QUOTA_WORDS, QuotaUsedUp),
        (status in (413, 429), own, RATE_WORDS, ProviderRateLimited),
        (status in (UNKNOWN, 400), own, KEY_WORDS, KeyRefused),
        (status in (UNKNOWN, 400, 403, 422), said, CONTENT_WORDS, ContentRefused),
        (status not in (401, 402, 403, 429), said, OVERFLOW_WORDS, ContextOverflow),
        (status == UNKNOWN, own, MISTAKE_WORDS, ProviderRefused),
    ):
        if applies and any(word in told for word in words):
            return kind
    if status in BUSY or status >= 500 or status == UNKNOWN:
        return ProviderBusy
    return KINDS.get(status, ProviderRefused)


def message(body: Any) -> str:
    """The provider's own words, wherever the body has them, and those of the one that it asked itself."""
    said, beneath = _told(body), _beneath(body)
    if said and beneath and beneath not in said:
        return _one_line(f"{said}: {beneath}")
    return said or beneath or (_one_line(_shown(body)) if body else "no reason given")


def is_known(body: Any) -> bool:
    """Does `message` know where the words are? Otherwise it shows the body as it is."""
    body = _within(body)
    base = mapping(mapping(body).get("base_resp"))
    return isinstance(body, str) or bool(_told(body) or _beneath(body) or _words(base.get("status_msg")))


def _told(body: Any) -> str:
    return next((said for place in _places(body) if (said := _said(place))), "")


def _places(body: Any) -> Iterator[Any]:
    """Where the words may be: an `error`, the body, and the first of a list of either (`errors` too)."""
    for place in (mapping(body).get("error"), body):
        for one in (place, mapping(place).get("errors")):
            yield one[0] if isinstance(one, list) and one else one


def _said(place: Any) -> str:
    if isinstance(place, str):
        return _one_line(place)
    values = (mapping(place).get(name) for name in WORDS)
    return next((said for value in values if (said := _one_line(_words(value)) or _of_fields(value))), "")


def _beneath(body: Any) -> str:
    """The words of the provider that a gateway asked, in `metadata.raw`: OpenRouter's own say no more than
    "Provider returned error" (openrouter.ai/docs/api/reference/errors-and-debugging, read 2026-11).
    """
    raw = mapping(mapping(mapping(body).get("error")).get("metadata")).get("raw")
    if isinstance(raw, str) and len(raw) <= LONGEST:
        with suppress(ValueError, RecursionError):
            raw = json.loads(raw)
    return _told(_within(raw))


def _shown(body: Any) -> str:
    """The beginning of it as JSON."""
    return "".join(islice(json.JSONEncoder(ensure_ascii=False).iterencode(body), MOST_SHOWN))


def _of_fields(value: Any) -> str:
    """FastAPI's list of fields that were refused: servers built on it tell it, Mistral within `message`.

    https://github.com/partITech/php-mistral/issues/76, read 2026-11.
    """
    refused = mappings(mapping(value).get("detail") if isinstance(value, dict) else value)[:5]
    told = ((_place(item.get("loc")), _words(item.get("msg"))) for item in refused)
    return _one_line("; ".join(f"{place}: {said}" for place, said in told if said))


def _place(loc: Any) -> str:
    return ".".join(str(part)[:50] for part in loc[:10]) if isinstance(loc, list) else ""


def _words(value: Any) -> str:
    """Cut before anything is done with it: an error may be as long as an answer."""
    return text(value[:LONGEST]) if isinstance(value, str) else ""


def _one_line(said: str) -> str:
    return re.sub(r"\s+", " ", _words(said))


def _codes(body: Any) -> str:
    """`details.error_code` is Anthropic's, `metadata.error_type` OpenRouter's."""
    error = mapping(mapping(body).get("error"))
    finer = mapping(error.get("details")).get("error_code"), mapping(error.get("metadata")).get("error_type")
    reasons = (mapping(detail).get("reason") for detail in mappings(error.get("details")))
    given = (error.get("code"), error.get("type"), error.get("status"), *finer, *reasons)
    return " ".join(_words(found)[:100] for found in given)


def _wait(status: int, failure: ProviderError, body: Any, headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as the provider says: in a header, in a detail (Google), or in words (OpenAI)."""
    passes = status in (429, 503, 529) or isinstance(failure, ProviderRateLimited)
    if not passes:
        return None
    told = retry_after(headers)
    if told is None:
        told = _retry_delay(body)
    return _in_words(failure.detail) if told is None else told


def _retry_delay(body: Any) -> float | None:
    """https://cloud.google.com/apis/design/errors, read 2026-11: `RetryInfo` has `"retryDelay": "37s"`."""
    for detail in mappings(mapping(mapping(body).get("error")).get("details"))[:20]:
        found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)s", _words(detail.get("retryDelay")))
        if found:
            return float(found[1])
    return None


def _in_words(said: str) -> float | None:
    found = TRY_AGAIN.search(said)
    if found is None:
        return None
    minutes, number, unit = found.groups()
    return 60 * float(minutes or 0) + float(number) / (1000 if unit == "ms" else 1)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, at most `LONGEST_WAIT`: `retry-after-ms`, `Retry-After` in seconds or as a date."""
    millis, given = headers.get("retry-after-ms"), headers.get("Retry-After")
    try:
        seconds = float(millis) / 1000 if millis is not None else _seconds(given, now)
    except (ValueError, TypeError, OverflowError):
        return None
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(0.0, seconds), LONGEST_WAIT)


def _seconds(given: str | None, now: datetime | None) -> float | None:
    if given is None:
        return None
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", given):
        return float(given)
    at = parsedate_to_datetime(given)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - (now or datetime.now(UTC))).total_seconds()
