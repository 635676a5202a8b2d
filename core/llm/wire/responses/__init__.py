"""OpenAI's Responses API without state: nothing is stored there, a request brings all that was said. Pure.

Source: https://developers.openai.com/api/reference/resources/responses and the types of the openai SDK
(3.54.0, openai/types/responses), read 2026-11.
"""

from __future__ import annotations

from core.llm.wire.openai.request import headers
from core.llm.wire.responses.answer import failure_inside, from_wire, usage
from core.llm.wire.responses.request import to_wire
from core.llm.wire.responses.stream import Stream

__all__ = ["PATH", "Stream", "failure_inside", "from_wire", "headers", "to_wire", "usage"]

PATH = "/responses"
