"""How many files a process may have open: each connection is one."""

from __future__ import annotations

import resource

WANTED = 10_240
"""Three times what a worker's calls need, five times a web process's connections. macOS takes no more,
though it tells no end (its setrlimit(2))."""


def as_many_as_needed() -> None:
    """What a shell gives (1,024 mostly) is less than what the system allows."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if most == resource.RLIM_INFINITY else min(WANTED, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
