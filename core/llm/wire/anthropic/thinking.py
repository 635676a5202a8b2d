"""Thinking blocks: our message keeps them, and the next turn hands them back. Pure.

Anthropic takes them back only if they are unchanged: `thinking` is signed, `redacted_thinking` is sealed
(https://platform.claude.com/docs/en/build-with-claude/extended-thinking, read 2026-11).
"""

from __future__ import annotations

from typing import Any

from core.llm.plain import mappings, text
from core.llm.types import Document

FIELDS = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}


def signed(blocks: Any) -> list[Document]:
    """The blocks that Anthropic would accept: no block that a stream cut short or a client made up."""
    found = [_block(block) for block in mappings(blocks) if block.get("type") in list(FIELDS)]
    return [block for block in found if block.get("signature") or block.get("data")]


def thoughts(blocks: Any) -> str:
    """The text of the blocks, as far as it can be read."""
    return "".join(
        text(block.get("thinking")) for block in mappings(blocks) if block.get("type") == "thinking"
    )


def _block(block: Document) -> Document:
    kind = block["type"]
    return {"type": kind, **{name: text(block.get(name)) for name in FIELDS[kind]}}
