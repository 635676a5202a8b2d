"""How many values a JSON text holds, known before it is parsed: what follows takes time for each."""

from __future__ import annotations


def at_most(raw: bytes, most: int) -> bool:
    """Does it hold so many at most, those inside of others included? Most texts are looked at only once."""
    if _openings(raw) <= most:
        return True
    bare = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    if bare.count(b'"') // 4 > most:  # names and values, of two quotes each
        return False
    return _openings(b"".join(bare.split(b'"')[::2])) <= most


def _openings(raw: bytes) -> int:
    """Whatever a value in a list or an object may follow, a comma or a bracket; those in strings too."""
    return 1 + raw.count(b",") + raw.count(b"[") + raw.count(b"{")
