"""The signs by which vendors say what is wrong: words, codes, names of errors. One table a class. Pure data.

Sources, read 2026-11: platform.openai.com/docs/guides/error-codes, platform.claude.com/docs/en/api/errors and
/rate-limits, platform.minimax.io/docs/api-reference/errorcode, console.groq.com/docs/errors,
openrouter.ai/docs/api/reference/errors-and-debugging, github.com/lmstudio-ai/lmstudio-bug-tracker,
ai.google.dev/gemini-api/docs/troubleshooting, docs.x.ai, platform.moonshot.ai/docs.
"""

from __future__ import annotations

from core.llm.failures import (
    ContentRefused,
    ContextOverflow,
    KeyRefused,
    ProviderBusy,
    ProviderError,
    ProviderRateLimited,
    QuotaUsedUp,
)

BUSY = frozenset({408, 498, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
KINDS: dict[int, type[ProviderError]] = {
    401: KeyRefused,
    402: QuotaUsedUp,
    403: KeyRefused,
    429: ProviderRateLimited,
}
"""What a status alone says; any other from 400 to 499 is `ProviderRefused`."""
UNKNOWN = 0
"""The status of an error inside a 200 that names none."""

QUOTA_WORDS = (
    "insufficient_quota",
    "billing_hard_limit",
    "billing_not_active",
    "exceeded your current quota",
    "spend_limit",  # OpenAI: project_spend_limit_exceeded; Anthropic: enforced_spend_limit_reached
    "usage_limit_exceeded",
    "spend limit",
    "api usage limits",  # Anthropic: 400 for one's own limit, 429 for the tier's
    "credit balance is too low",  # Anthropic, as a 400
    "insufficient balance",
    "insufficient_balance",
    "insufficient credits",  # OpenRouter
    "usage limit exceeded",  # MiniMax 2056, as a 429
)
OVERFLOW_WORDS = (
    "context_length_exceeded",
    "maximum context length",
    "prompt is too long",
    "context window",
    "context length",  # LM Studio
    "context size",  # LM Studio and llama.cpp
    "too many tokens",
    "input length and `max_tokens` exceed",
    "exceeds the maximum number of tokens",  # Google
    "maximum prompt length",  # xAI
    "exceeded model token limit",  # Moonshot
    "input is too long",  # Amazon Bedrock
    "range of input length should be",  # Alibaba
    "exceeds the model's maximum",
    "reduce the length of the messages",  # Groq
    "reduce the length of the prompt",  # vLLM
    "`inputs` tokens + `max_new_tokens` must be",  # Hugging Face's TGI
    "`inputs` must have less than",
    "exceed max message tokens",  # Volcano Engine
    "prompt_too_long",
    "model_context_window_exceeded",
)
RATE_WORDS = ("rate_limit_exceeded", "tokens per minute", "rate limit")
"""Groq says 413 to a request of more tokens than a minute allows."""
KEY_WORDS = (
    "api key not valid",  # Google, as a 400
    "api_key_invalid",
    "api key expired",
    "invalid api key",
    "invalid_api_key",
    "incorrect api key",
    "invalid x-api-key",
)
CONTENT_WORDS = (
    "content_policy",
    "content_filter",
    "content management policy",
    "content policy",
    "content filtering policy",  # Anthropic
    "moderation_blocked",
    "was flagged",  # OpenRouter, as a 403
    "new_sensitive",  # MiniMax
)
MISTAKE_WORDS = ("unexpected endpoint or method",)  # LM Studio, inside a 200

MINIMAX: dict[int, type[ProviderError]] = {
    1000: ProviderBusy,
    1001: ProviderBusy,
    1002: ProviderRateLimited,
    1004: KeyRefused,
    1008: QuotaUsedUp,
    1024: ProviderBusy,
    1026: ContentRefused,
    1027: ContentRefused,
    1033: ProviderBusy,
    1039: ContextOverflow,
    2049: KeyRefused,
    2056: QuotaUsedUp,
}
STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Anthropic's names of errors, which come inside a stream without a status; OpenAI's are among them."""
