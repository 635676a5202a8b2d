"""Memory of processes that live long: what goes back to the system, and what is never looked at again."""

from __future__ import annotations

import ctypes
import gc

# From glibc's malloc.h. Each is also a variable of the environment: https://www.gnu.org/software/libc/manual,
# "Malloc Tunable Parameters", read 2026-11.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
ASIDE = 64 * 1024
"""Bytes. What is larger gets pages of its own. Glibc raises this to 32 MB at the first large thing freed."""
ARENAS = 2


def settled() -> None:
    """What a process has built by now stays: the collector of garbage, which would look at all of it again
    and again (90 to 190 ms each time, 2026-11), leaves it out from now on."""
    gc.collect()
    gc.freeze()


def frugal() -> None:
    """For a process that lives long. Nothing to do where C's library is another one."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, ASIDE)
        mallopt(M_TRIM_THRESHOLD, ASIDE)
        mallopt(M_ARENA_MAX, ARENAS)
