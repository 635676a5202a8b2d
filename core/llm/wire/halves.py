"""Text that comes in pieces: a character may be cut into its UTF-16 halves, one at the end of each. Pure.

JSON carries such a half as a lone escape (`"a\\ud83d"`, then `"\\ude00b"`); servers that cut an answer by
UTF-16 units send it so.
"""

from __future__ import annotations

from typing import Any

from core.llm.plain import text


class Text:
    """One text of an answer. `feed` returns what is whole of it; a half waits for its other half."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: Any) -> str:
        whole = self._held + piece if isinstance(piece, str) else self._held
        self._held = whole[-1] if whole and "\ud800" <= whole[-1] <= "\udbff" else ""
        return text(whole.removesuffix(self._held))

    def close(self) -> str:
        """The end of the text: a half that is still alone becomes a replacement character."""
        held, self._held = self._held, ""
        return text(held)
