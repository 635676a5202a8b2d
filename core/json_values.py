"""How many values and names a JSON text holds, known before it is parsed: each takes time then."""

from __future__ import annotations

VALUES = (b",", b"[", b"{")
"""Whatever a value in a list or an object may follow."""
AND_NAMES = (*VALUES, b":")
"""So that the names in objects count as well."""


def at_most(raw: bytes | bytearray, most: int) -> bool:
    """Does it hold so many at most, those inside of others included? Most texts are looked at only once."""
    if _counted(raw, VALUES) <= most:
        return True
    bare = _bare(raw)
    if bare.count(b'"') // 4 > most:  # names and values, of two quotes each
        return False
    return _counted(b"0".join(bare.split(b'"')[::2]), VALUES) <= most


def names(raw: bytes) -> int:
    """How many names stand in the objects of a JSON text, also one that stands twice in the same."""
    return b"".join(_bare(raw).split(b'"')[::2]).count(b":")


class Values:
    """How many values and names a JSON text holds, of which one piece after another comes."""

    def __init__(self) -> None:
        self.seen = 1
        self._rest = b""
        self._within = False

    def feed(self, piece: bytes) -> None:
        """A piece that ends within an escape waits for the next one."""
        text = self._rest + piece
        self._rest = b"\\" * ((len(text) - len(text.rstrip(b"\\"))) % 2)
        parts = _bare(text.removesuffix(self._rest)).split(b'"')
        self.seen += _counted(b"0".join(parts[self._within :: 2]), AND_NAMES) - 1
        self._within ^= len(parts) % 2 == 0


def _bare(raw: bytes | bytearray) -> bytes | bytearray:
    """Without escapes: each quote begins a text, or ends it."""
    return raw.replace(rb"\\", b"").replace(rb"\"", b"")


def _counted(raw: bytes | bytearray, marks: tuple[bytes, ...]) -> int:
    """Those in strings too. An empty list or object holds no value; one that held a text is not empty."""
    return 1 + sum(map(raw.count, marks)) - raw.count(b"[]") - raw.count(b"{}")
