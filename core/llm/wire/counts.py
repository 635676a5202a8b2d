"""The usage that a provider tells in several pieces, or only in part. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.llm.plain import mapping, mappings, storable, text
from core.llm.types import Document, Usage

MOST_KEPT = 200
"""Values of a usage. The longest that a vendor tells has some 40."""
LONGEST_KEPT = 200
"""Characters of a name or a word in it."""


def told(body: Any) -> Document | None:
    """The usage that an answer, or an event of a stream, tells. Groq and Moonshot have own places for it.

    With the `service_tier` beside it, by which it is priced.
    """
    choices = mappings(mapping(body).get("choices"))[:1]
    places = (mapping(body), mapping(mapping(body).get("x_groq")), *choices)
    usage = next((place["usage"] for place in places if isinstance(place.get("usage"), dict)), None)
    tier = mapping(body).get("service_tier")
    beside = {"service_tier": tier} if isinstance(tier, str) else {}
    return None if usage is None else kept({**beside, **usage})


def known(*, tokens_input: int | None, tokens_output: int | None, together: int | None = None) -> Usage:
    """A usage of which one count may not be told, or both, or their sum alone."""
    return Usage(
        tokens_input or 0,
        tokens_output or 0,
        untold=(("tokens_input",) if tokens_input is None else ())
        + (("tokens_output",) if tokens_output is None else ()),
        together=together,
    )


def kept(raw: Document) -> Document:
    """The usage as it was told; of one that goes on and on, the beginning."""
    beginning: Document = storable(_beginning(raw, iter(range(MOST_KEPT))))
    return beginning


def later(told: Document | None, now: Document) -> Document:
    """What was told before, and what is told now: it replaces, except by nothing, or by a zero.

    Some vendors repeat fields with 0 at the end; the counts of an answer only grow.
    """
    return kept(_together(told or {}, kept(now)))


def _together(told: Document, now: Document) -> Document:
    found = dict(told)
    for name, value in now.items():
        before = found.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            found[name] = _together(before, value)
        elif value is not None and not (before and value in (0, {}, [])):
            found[name] = value
    return found


def _beginning(value: Any, left: Iterator[int]) -> Any:
    """As many values as are left, in the order in which they came."""
    if isinstance(value, dict):
        items = zip(left, value.items(), strict=False)
        return {text(name)[:LONGEST_KEPT]: _beginning(item, left) for _, (name, item) in items}
    if isinstance(value, list):
        return [_beginning(item, left) for _, item in zip(left, value, strict=False)]
    return text(value)[:LONGEST_KEPT] if isinstance(value, str) else value
