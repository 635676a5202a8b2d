"""Server-Sent Events, read from bytes as they come: cut anywhere, even within a character. Pure.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, read 2026-11. More is understood than
it says, where vendors are sloppy: an event may end with the stream, and white space is no data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from core import json_values
from core.llm.failures import ProviderBusy

LONGEST_LINE = 8_000_000
MOST_VALUES = 50_000
"""Of one event, between which others get their turn."""
BOM = b"\xef\xbb\xbf"
SHOWN = 200
"""Bytes of data that cannot be read, for its error."""
NOT_JSON = object()


class Parser:
    """`feed` returns the data of each event that is complete now: parsed JSON, or the text `[DONE]`."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._name = b""
        self._first = True
        self._after_return = False

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """Raises `ProviderBusy` for bytes that are no event stream."""
        for line in self._lines(chunk):
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            elif name == b"event" and value:
                self._name = value.strip()
            elif not line:
                yield from self._events()

    def close(self) -> Iterator[Any]:
        """The event that is complete when the stream ends, if there is one."""
        yield from self.feed(b"\n\n")

    def _lines(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now. A long line is searched for its end once, not at each chunk."""
        whole, newline, rest = self._with_one_line_end(chunk).rpartition(b"\n")
        lines = bytes(self._rest + whole).split(b"\n") if newline else []
        if lines and self._first:
            self._first, lines[0] = False, lines[0].removeprefix(BOM)
        if newline:
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > LONGEST_LINE:
            raise ProviderBusy("the provider sent a line without an end", http_status=200)
        return lines

    def _with_one_line_end(self, chunk: bytes) -> bytes:
        """A line may end with CR, LF or both, which may come in two chunks."""
        if self._after_return:
            chunk = chunk.removeprefix(b"\n")
        self._after_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _events(self) -> Iterator[Any]:
        """The event that ends here; none for empty data, which vendors send to keep a connection open."""
        lines, name, self._data, self._name = self._data, self._name, [], b""
        data = b"\n".join(lines)
        if not data.strip():
            return
        if not json_values.at_most(data, MOST_VALUES):
            raise ProviderBusy("an event of the stream holds more values than allowed", http_status=200)
        event = _read(data)
        if event is NOT_JSON:  # the empty line between two events was left out
            for one in map(_read, filter(None, lines)):
                yield _sure(one, data)
        else:
            yield {"error": event} if name == b"error" and not _tells_an_error(event) else event


def _tells_an_error(event: Any) -> bool:
    return isinstance(event, dict) and ("error" in event or "base_resp" in event)


def _read(data: bytes) -> Any:
    if data.strip() == b"[DONE]":
        return "[DONE]"
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return NOT_JSON


def _sure(event: Any, data: bytes) -> Any:
    if event is NOT_JSON:
        said = data[:SHOWN].decode(errors="replace")
        raise ProviderBusy(f"the provider's stream holds something that is not JSON: {said}", http_status=200)
    return event
