"""Vendors that speak OpenAI's format with an accent: one row each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from core.llm.types import Target


@dataclass(frozen=True)
class Vendor:
    """`names`: takes `messages[].name`. `coldest`, `hottest`: the temperatures that it takes.

    `thinks_aloud`: its `<think>` belongs back into the content when a turn goes on after a tool call.
    """

    names: bool = True
    coldest: float = 0.0
    hottest: float = 2.0
    thinks_aloud: bool = False


OPENAI = Vendor()
# https://console.groq.com/docs/openai, read 2026-11: names are answered with 400 (as are
# logprobs and n, which are never sent).
GROQ = Vendor(names=False)
# https://platform.minimax.io/docs/api-reference/text-openai-api, read 2026-11: temperature in (0, 1].
MINIMAX = Vendor(coldest=0.01, hottest=1.0, thinks_aloud=True)

HOSTS = {"groq.com": GROQ, "minimax.io": MINIMAX, "minimaxi.com": MINIMAX}


def vendor(target: Target) -> Vendor:
    """Known by its name, or by its address where it is somebody's custom endpoint."""
    if target.provider == "minimax":
        return MINIMAX
    host = f".{urlsplit(target.base_url).hostname or ''}"
    return next((row for name, row in HOSTS.items() if host.endswith(f".{name}")), OPENAI)
