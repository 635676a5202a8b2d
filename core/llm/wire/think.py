"""`<think>` at the start of an answer's content: it is taken out as reasoning, and put back. Pure.

MiniMax-M2 sends it (https://platform.minimax.io/docs/api-reference/text-openai-api, read 2026-11), and so do
most reasoning models that are served by LM Studio, vLLM and the like.
"""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"
LONGEST_LEAD = 200
"""White space before the tag, in characters; more is content."""


class Splitter:
    """Splits content that comes in pieces, which may cut the tags. `feed` returns (content, reasoning)."""

    def __init__(self) -> None:
        self._held = ""
        self._where = "start"

    def feed(self, piece: str) -> tuple[str, str]:
        if self._where == "content":
            return piece, ""
        self._held += piece
        if self._where == "start" and not self._opened():
            return ("", "") if self._may_open() else (self._pass_on(), "")
        reasoning = self._thought() if self._where == "thinking" else ""
        return (self._after() if self._where == "after" else ""), reasoning

    def close(self) -> tuple[str, str]:
        """The end of the content, which was held back because a tag might have begun there."""
        held, self._held = self._held, ""
        if self._where == "thinking":
            return "", held
        return ("" if self._where == "after" else held), ""

    def _may_open(self) -> bool:
        return len(self._held) < LONGEST_LEAD and OPEN.startswith(self._held.lstrip())

    def _opened(self) -> bool:
        begun = self._held.lstrip()
        if not begun.startswith(OPEN):
            return False
        self._held, self._where = begun[len(OPEN) :], "thinking"
        return True

    def _thought(self) -> str:
        thought, closed, rest = self._held.partition(CLOSE)
        if closed:
            self._held, self._where = rest, "after"
            return thought
        keep = next((n for n in range(len(CLOSE) - 1, 0, -1) if self._held.endswith(CLOSE[:n])), 0)
        cut = len(self._held) - keep
        thought, self._held = self._held[:cut], self._held[cut:]
        return thought

    def _after(self) -> str:
        """The space between the tag and the answer belongs to neither."""
        self._held = self._held.lstrip()
        return self._pass_on() if self._held else ""

    def _pass_on(self) -> str:
        held, self._held, self._where = self._held, "", "content"
        return held


def split(whole: str) -> tuple[str, str]:
    """(content, reasoning) of a whole answer."""
    splitter = Splitter()
    content, reasoning = splitter.feed(whole)
    rest, more = splitter.close()
    return content + rest, (reasoning + more).strip()


def join(content: str, reasoning: str) -> str:
    """As the model said it."""
    return f"{OPEN}\n{reasoning}\n{CLOSE}\n\n{content}"
