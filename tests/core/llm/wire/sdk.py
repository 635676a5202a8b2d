"""What the official SDKs' types make of a request of ours."""

from __future__ import annotations

from collections.abc import Iterable

from anthropic.types import message_create_params
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

OPENAI = TypeAdapter(completion_create_params.CompletionCreateParams)
RESPONSES = TypeAdapter(response_create_params.ResponseCreateParams)
ANTHROPIC = TypeAdapter(message_create_params.MessageCreateParams)


def known(adapter, body):
    """The body without what the SDK does not know. Raises pydantic's error for what it knows otherwise.

    An `Iterable` is validated only as it is read, so everything is read.
    """
    return _read(adapter.validate_python(body))


def _read(value):
    if isinstance(value, dict):
        return {key: _read(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_read(item) for item in value]
    return value
