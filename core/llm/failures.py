"""How a provider call can fail, and what is done then: one row a class. The tree:

ProviderError           a core.errors.Problem; its detail is the provider's own words, redacted
├─ Unreachable          no connection; nothing was sent
├─ ProviderBusy         408, 498, 5xx, 529, or a body that is no answer
├─ ProviderRateLimited  429; `retry_after` in seconds, when the provider said so
├─ KeyGone              the key was removed, or belongs to another address, since the job was accepted
├─ KeyRefused           401, 403: the key is wrong or may not do this
├─ QuotaUsedUp          402, an empty balance, a spend limit: final, though it may come as 429
├─ ContextOverflow      the messages are longer than the model's window
├─ ContentRefused       the provider's content policy
├─ ProviderRefused      any other 4xx: the request itself
├─ ReadTimeout          sent, and no answer in time: it may have been charged
├─ StreamBroken         the answer broke off after its first delta was published
└─ EndpointForbidden    a custom endpoint leads to an address that is not allowed
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Any, Literal

from core.errors import Problem

FailureCode = Literal[
    "provider_error",
    "key_required",
    "provider_unreachable",
    "provider_busy",
    "provider_rate_limited",
    "provider_key_refused",
    "provider_quota",
    "context_overflow",
    "content_refused",
    "provider_refused",
    "provider_timeout",
    "stream_broken",
    "endpoint_forbidden",
]
"""The names that machines know failures by: the `code` of a class is also the outcome of the call."""


class Elsewhere(Enum):
    """Which of the targets that follow may be asked after a failure."""

    NONE = "none"
    ALL = "all"
    OTHER_KEYS = "other keys"
    LARGER_WINDOWS = "larger windows"
    IF_OPTED_IN = "all, if the agent opted in"


class ProviderError(Problem):
    """`again`: at most so many more tries with the same target. `elsewhere`: which target may be asked then.

    `unwell`: the failure speaks against the provider's health, whoever asked (see `core.llm.breaker`).
    `by_provider`: it says itself, in a 200, that it has no answer, and bills none; or it is none.
    """

    code: FailureCode = "provider_error"
    title = "The provider did not answer"
    again = 0
    elsewhere = Elsewhere.NONE
    unwell = False
    possibly_charged = False

    def __init__(
        self,
        detail: str = "",
        *,
        http_status: int | None = None,
        retry_after: float | None = None,
        by_provider: bool = False,
    ) -> None:
        super().__init__(detail)
        self.http_status = http_status
        self.by_provider = by_provider
        self.retry_after = retry_after
        self.partial: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """With `retry_after`, whole seconds, where the provider said how long to wait."""
        wait = {} if self.retry_after is None else {"retry_after": math.ceil(self.retry_after)}
        return super().as_dict() | wait


class Unreachable(ProviderError):
    code = "provider_unreachable"
    title = "The provider cannot be reached"
    again = 2
    elsewhere = Elsewhere.ALL
    unwell = True


class ProviderBusy(ProviderError):
    code = "provider_busy"
    title = "The provider is busy or broken"
    again = 2
    elsewhere = Elsewhere.ALL
    unwell = True


class ProviderRateLimited(ProviderError):
    code = "provider_rate_limited"
    title = "The provider limits the rate of this key"
    again = 2
    elsewhere = Elsewhere.ALL


class KeyGone(ProviderError):
    """`core.llm.keyring` says which other target may be asked; no call is made."""

    code = "key_required"
    title = "A provider key is required"


class KeyRefused(ProviderError):
    code = "provider_key_refused"
    title = "The provider refuses this key"
    elsewhere = Elsewhere.OTHER_KEYS


class QuotaUsedUp(ProviderError):
    code = "provider_quota"
    title = "The provider's quota or balance of this key is used up"
    elsewhere = Elsewhere.OTHER_KEYS


class ContextOverflow(ProviderError):
    code = "context_overflow"
    title = "The messages are longer than the model's context window"
    elsewhere = Elsewhere.LARGER_WINDOWS


class ContentRefused(ProviderError):
    code = "content_refused"
    title = "The provider's content policy refuses this"
    elsewhere = Elsewhere.IF_OPTED_IN


class ProviderRefused(ProviderError):
    code = "provider_refused"
    title = "The provider refuses the request"


class ReadTimeout(ProviderError):
    code = "provider_timeout"
    title = "The provider did not answer in time"
    again = 1
    elsewhere = Elsewhere.ALL
    unwell = True
    possibly_charged = True


class StreamBroken(ProviderError):
    code = "stream_broken"
    title = "The answer broke off"
    possibly_charged = True


class EndpointForbidden(ProviderError):
    """No other target is asked: a user who names an address does not want others to get the prompt."""

    code = "endpoint_forbidden"
    title = "This endpoint is not allowed"
