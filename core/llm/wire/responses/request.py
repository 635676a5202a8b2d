"""From a chat in OpenAI's message format to the body of a request to `/responses`. Pure.

Refused: `messages[].name`, and all else that this API has nothing for. `core.llm.parameters` says what
becomes of each parameter.
"""

from __future__ import annotations

from core.llm import parameters
from core.llm.translations import openai
from core.llm.types import ChatRequest, Document, Target
from core.llm.wire.responses.items import items

SEALED = ["reasoning.encrypted_content"]
"""Refused by models that do not reason: https://github.com/NousResearch/hermes-agent/pull/24234, 2026-05."""


def to_wire(request: ChatRequest, target: Target) -> Document:
    """The JSON body of a request. Raises `ProviderRefused` for what this API cannot do."""
    said = [item for n, message in enumerate(request.said_to(target)) for item in items(message, n)]
    body: Document = {
        **openai.cache_key(request, target),
        **parameters.said(request, target),
        "model": target.model,
        "input": said,
        "store": False,
    }
    if openai.reasons(target):
        body["include"] = SEALED
    return body | ({"stream": True} if request.stream else {})
