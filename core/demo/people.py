"""Who works in the demo: its agents, their providers, their keys, and what they talk about. Tables alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WORKSPACE, NAME = "demo", "Demo, Ltd."


@dataclass(frozen=True)
class Colleague:
    """An agent. `share`: of the day's jobs. `tokens` of a usual request and answer, `ms` of a usual call."""

    name: str
    description: str
    config: dict[str, Any]
    provider: str
    model: str
    key: str
    share: float
    tokens: tuple[int, int]
    ms: int
    topics: tuple[tuple[str, str], ...]
    tier: str | None = None
    streams: bool = False


OPENAI, ANTHROPIC = "openai-main", "anthropic-eu"
CREDENTIALS = (
    (OPENAI, "openai", "sk-demo-not-a-key-openai-4821"),
    (ANTHROPIC, "anthropic", "sk-demo-not-a-key-anthropic-9017"),
)
"""Name, provider, and a key that opens nothing."""

COLLEAGUES = (
    Colleague(
        "support-desk",
        "Answers customers' first questions, and hands over what it is not sure of.",
        {"provider": "openai", "model": "gpt-4o-mini", "credential": OPENAI},
        "openai",
        "gpt-4o-mini",
        "Website",
        0.55,
        (900, 180),
        2100,
        (
            ("Where is my order 88213?", "It left our warehouse yesterday and should be with you on Friday."),
            ("Can I still change the delivery address?", "Yes, until the parcel is handed to the carrier."),
            (
                "How do I return a lamp?",
                "Print the label from your account, and drop it at any pick-up point.",
            ),
        ),
        streams=True,
    ),
    Colleague(
        "invoice-reader",
        "Reads suppliers' invoices into fields that the books understand.",
        {"provider": "anthropic", "model": "claude-sonnet-4-5", "credential": ANTHROPIC},
        "anthropic",
        "claude-sonnet-4-5",
        "Back office",
        0.22,
        (3200, 420),
        5200,
        (
            (
                "Read invoice 2026-1107 of Nordlicht GmbH.",
                '{"total": 1840.5, "currency": "EUR", "due": "14 days"}',
            ),
            ("Which of these lines carry reduced VAT?", "Lines 3 and 7: books, and the printed catalogue."),
        ),
    ),
    Colleague(
        "release-notes",
        "Turns merged changes into notes that customers read.",
        {"provider": "openai", "model": "gpt-4o", "credential": OPENAI},
        "openai",
        "gpt-4o",
        "CI",
        0.08,
        (5200, 700),
        7400,
        (
            (
                "Summarise the 14 changes since 4.2.0.",
                "Exports are three times as fast, and dark mode remembers you.",
            ),
        ),
    ),
    Colleague(
        "product-copy",
        "Writes the shop's descriptions on the economy plan.",
        {"managed": True, "tier": "economy"},
        "minimax",
        "MiniMax-M2.5",
        "Back office",
        0.05,
        (1700, 760),
        3800,
        (
            (
                "Describe the desk lamp Arco in 60 words.",
                "A quiet arc of brushed steel that puts light where you read.",
            ),
            (
                "Three headlines for the winter sale.",
                "Warm light, cold nights. Half the price, all the glow.",
            ),
        ),
        tier="economy",
    ),
    Colleague(
        "translator",
        "German, French and Polish, in the tone of the shop.",
        {"provider": "sandbox"},
        "sandbox",
        "sandbox",
        "Website",
        0.10,
        (420, 410),
        1300,
        (("Translate: 'Free returns within 30 days.'", "Kostenlose Rückgabe innerhalb von 30 Tagen."),),
        streams=True,
    ),
)

KEYS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Website", "member", {"rpm": 600}),
    ("Back office", "member", {"budget_usd": 400, "budget_period": "month"}),
    ("CI", "member", {"budget_usd": 5, "budget_period": "day"}),
    ("Board", "viewer", {}),
)
"""Name, role, limits."""

FAILURES = (
    ("provider_rate_limited", 429, "Rate limit reached for requests per minute", 0.34),
    ("provider_busy", 529, "Overloaded", 0.26),
    ("context_overflow", 400, "This model's maximum context length is 128000 tokens", 0.14),
    ("provider_timeout", None, "no answer within 120 s", 0.14),
    ("content_refused", 400, "The request was rejected by the safety system", 0.07),
    ("provider_key_refused", 401, "Incorrect API key provided", 0.05),
)
"""Code, HTTP status, the provider's words, share of all failures."""

FILES = (
    (
        "price-list-2026.csv",
        "sales/",
        "text/csv",
        b"sku,name,eur\n1001,Arco desk lamp,129.00\n1002,Lumi shade,39.50\n",
    ),
    (
        "house-style.md",
        "brand/",
        "text/markdown",
        b"# House style\n\nShort sentences. No exclamation marks.\n",
    ),
    ("returns-policy.txt", "support/", "text/plain", b"Returns are free within 30 days.\nKeep the box.\n"),
    (
        "supplier-terms.json",
        "finance/",
        "application/json",
        b'{"nordlicht": {"days": 14}, "lumo": {"days": 30}}\n',
    ),
    (
        "faq-de.md",
        "support/",
        "text/markdown",
        b"# Fragen\n\nWann kommt mein Paket? Meist in zwei Tagen.\n",
    ),
)
"""Name, folder, media type, bytes."""
