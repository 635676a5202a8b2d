"""An answer in one piece: read and parsed within bounds; a large one in its workspace's turn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from core import json_values
from core.heavy import LIGHT, Heavy
from core.llm.classify import LONGEST
from core.llm.failures import ProviderBusy
from core.llm.plain import readable
from core.outbound import names
from core.outbound.transport import Answer

MOST_VALUES = 300_000
"""Log probabilities have a hundred for each token. Each takes microseconds."""
MOST_OF_A_PAGE = 50_000
_heavy = Heavy()


def read(answer: Answer, chunks: Iterator[bytes], most: int) -> bytes:
    """All of it. Raises `ProviderBusy` for more than `most` bytes, or too many values."""
    body = bytearray()
    for chunk in chunks:
        answer.progress()
        body += chunk
        if len(body) > most:
            raise ProviderBusy("the answer is larger than allowed", http_status=200)
    if not json_values.at_most(body, MOST_VALUES):
        raise ProviderBusy("the answer holds more values than allowed", http_status=200)
    return bytes(body)


def turn(raw: bytes) -> AbstractContextManager[None]:
    """Inside, it is parsed and understood."""
    return nullcontext() if len(raw) < LIGHT else _heavy.turn(names.whose(), len(raw))


def parsed(body: bytes) -> Any:
    """JSON; of what is none, the text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return readable(body[:MOST_OF_A_PAGE].decode(errors="replace"))[:LONGEST]
