"""OpenAI's chat completions, as OpenAI and the vendors that copy it speak them. Pure.

Source: https://platform.openai.com/docs/api-reference/chat, read 2026-11.
"""

from __future__ import annotations

from core.llm.wire.openai.answer import failure_inside, from_wire, usage
from core.llm.wire.openai.request import headers, to_wire
from core.llm.wire.openai.stream import Stream

__all__ = ["PATH", "Stream", "failure_inside", "from_wire", "headers", "to_wire", "usage"]

PATH = "/chat/completions"
