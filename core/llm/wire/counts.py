"""The usage that a provider tells in several pieces, or only in part. Pure."""

from __future__ import annotations

from core.llm.plain import storable
from core.llm.types import Document, Usage


def known(*, tokens_input: int | None, tokens_output: int | None) -> Usage:
    """A usage of which one count may not be told."""
    return Usage(
        tokens_input or 0,
        tokens_output or 0,
        untold=(("tokens_input",) if tokens_input is None else ())
        + (("tokens_output",) if tokens_output is None else ()),
    )


def later(told: Document | None, now: Document) -> Document:
    """What was told before, and what is told now: it replaces, except by nothing, or by a zero.

    Some vendors repeat fields with 0 at the end; the counts of an answer only grow.
    """
    found = dict(told or {})
    for name, value in storable(now).items():
        before = found.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            found[name] = later(before, value)
        elif value is not None and not (before and value in (0, {}, [])):
            found[name] = value
    return found
