"""How a provider call can fail, and what is done then: one row a class. The tree:

ProviderError           a core.errors.Problem; its detail is the provider's own words, redacted
├─ Unreachable          no connection; nothing was sent
├─ ProviderBusy         408, 498, 5xx, 529, or a body that is no answer
├─ RateLimited          429; `retry_after` in seconds, when the provider said so
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

from typing import Any

from core.errors import Problem


class ProviderError(Problem):
    """`again`: how many more tries with the same target at most; `fall_back`: may the next one be asked?"""

    code = "provider_error"
    title = "The provider did not answer"
    again = 0
    fall_back = False
    possibly_charged = False

    def __init__(
        self,
        detail: str = "",
        *,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.http_status = http_status
        self.retry_after = retry_after
        self.partial: dict[str, Any] | None = None


class Unreachable(ProviderError):
    code = "provider_unreachable"
    title = "The provider cannot be reached"
    again = 2
    fall_back = True


class ProviderBusy(ProviderError):
    code = "provider_busy"
    title = "The provider is busy or broken"
    again = 2
    fall_back = True


class RateLimited(ProviderError):
    code = "provider_rate_limited"
    title = "The provider limits the rate of this key"
    again = 2
    fall_back = True


class KeyRefused(ProviderError):
    code = "provider_key_refused"
    title = "The provider refuses this key"
    fall_back = True


class QuotaUsedUp(ProviderError):
    code = "provider_quota"
    title = "The provider's quota or balance of this key is used up"
    fall_back = True


class ContextOverflow(ProviderError):
    """Asked elsewhere only where the window is larger."""

    code = "context_overflow"
    title = "The messages are longer than the model's context window"


class ContentRefused(ProviderError):
    code = "content_refused"
    title = "The provider's content policy refuses this"


class ProviderRefused(ProviderError):
    code = "provider_refused"
    title = "The provider refuses the request"


class ReadTimeout(ProviderError):
    code = "provider_timeout"
    title = "The provider did not answer in time"
    again = 1
    fall_back = True
    possibly_charged = True


class StreamBroken(ProviderError):
    code = "stream_broken"
    title = "The answer broke off"
    possibly_charged = True


class EndpointForbidden(ProviderError):
    code = "endpoint_forbidden"
    title = "This endpoint is not allowed"
