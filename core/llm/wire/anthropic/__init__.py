"""Anthropic's messages. Pure.

Source: https://platform.claude.com/docs/en/api/messages, version 2023-06-01, read 2026-11. The version of
2026-10-21 takes no temperature from any model; with 2023-06-01 the older ones still do.
"""

from __future__ import annotations

from core.llm.wire.anthropic.answer import failure_inside, from_wire, usage
from core.llm.wire.anthropic.request import headers, to_wire
from core.llm.wire.anthropic.stream import Stream

__all__ = ["PATH", "Stream", "failure_inside", "from_wire", "headers", "to_wire", "usage"]

PATH = "/messages"
