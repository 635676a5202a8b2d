"""Thinking blocks, as they are kept on our message and handed back. Pure.

Anthropic takes them back only unchanged: `thinking` is signed, `redacted_thinking` is sealed
(https://platform.claude.com/docs/en/build-with-claude/extended-thinking, read 2026-11).
"""

from __future__ import annotations

from typing import Any

from core.llm.plain import mappings, text
from core.llm.types import Document

FIELDS = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}


def signed(blocks: Any) -> list[Document]:
    """The blocks that Anthropic would know again: what a stream cut short, or a client made up, is not."""
    found = [_block(block) for block in mappings(blocks) if block.get("type") in list(FIELDS)]
    return [block for block in found if block.get("signature") or block.get("data")]


def thoughts(blocks: Any) -> str:
    """What can be read of them."""
    return "".join(
        text(block.get("thinking")) for block in mappings(blocks) if block.get("type") == "thinking"
    )


def _block(block: Document) -> Document:
    kind = block["type"]
    return {"type": kind, **{name: text(block.get(name)) for name in FIELDS[kind]}}
