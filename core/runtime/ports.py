"""Ports for agents' processes, on loopback."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"


def candidates(given: str, *, start: int | None = None) -> Iterator[int]:
    """The ports of `18900-19899`, each once, from a random one on: two installations seldom meet."""
    first, last = map(int, given.split("-"))
    size = last - first + 1
    offset = random.randrange(size) if start is None else start - first  # noqa: S311 - no secret
    return (first + (offset + n) % size for n in range(size))


def free(port: int) -> bool:
    """Does nobody listen there, or hold it?"""
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
