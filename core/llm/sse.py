"""Server-Sent Events, read from bytes as they come: cut anywhere, even within a character. Pure.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from core.llm.failures import ProviderBusy

LONGEST_LINE = 8_000_000


class Parser:
    """`feed` returns the data of each event that is complete now: parsed JSON, or the text `[DONE]`."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """Raises `ProviderBusy` for bytes that are no event stream."""
        for line in self._lines(chunk):
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield self._event()

    def close(self) -> Iterator[Any]:
        """The event that is complete when the stream ends, if there is one."""
        yield from self.feed(b"\n\n")

    def _lines(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now. A long line is searched for its end once, not at each chunk."""
        whole, newline, rest = chunk.rpartition(b"\n")
        lines = [line.rstrip(b"\r") for line in bytes(self._rest + whole).split(b"\n")] if newline else []
        if newline:
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > LONGEST_LINE:
            raise ProviderBusy("the provider sent a line without an end", http_status=200)
        return lines

    def _event(self) -> Any:
        data, self._data = b"\n".join(self._data), []
        if data.strip() == b"[DONE]":
            return "[DONE]"
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise ProviderBusy(
                "the provider's stream holds something that is not JSON", http_status=200
            ) from None
