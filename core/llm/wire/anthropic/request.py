"""From a chat in OpenAI's format to the body of Anthropic's request. Pure.

Mapped: system and developer messages (gathered in front), images, PDF files, calls and results, thinking
blocks. Refused before the call: audio, `messages[].name`, an image's `detail`, and all else that Anthropic
has nothing for (`core.llm.unsaid`). `core.llm.parameters` says what becomes of each parameter.
"""

from __future__ import annotations

from core import tokens
from core.llm import parameters
from core.llm.translations.anthropic import prompt_cache
from core.llm.types import ChatRequest, Document, Target
from core.llm.wire.anthropic.messages import may_think, messages, system

VERSION = "2023-06-01"


def headers(target: Target) -> dict[str, str]:
    key = {"x-api-key": target.api_key} if target.api_key else {}
    return {"anthropic-version": VERSION, **key}


def to_wire(request: ChatRequest, target: Target) -> Document:
    """The JSON body of a request. Raises `ProviderRefused` for what Anthropic cannot do."""
    said = request.said_to(target)
    body: Document = {"max_tokens": tokens.OF_ANTHROPIC, **parameters.said(request, target)}
    if "prompt_cache" not in request.parameters:
        body |= prompt_cache("auto", request, target)
    body |= {"model": target.model, "messages": messages(said)}
    if body.get("thinking", {}).get("type") == "enabled" and not may_think(body["messages"]):
        del body["thinking"]
    if prompt := system(said):
        body["system"] = prompt
    return body | ({"stream": True} if request.stream else {})
