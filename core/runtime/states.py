"""The states of an agent's process, and which may follow which. Pure."""

from __future__ import annotations

STOPPED, STARTING, READY, UNHEALTHY = "stopped", "starting", "ready", "unhealthy"
BACKOFF, FAILED, STOPPING = "backoff", "failed", "stopping"

MOVES: dict[str, frozenset[str]] = {
    STOPPED: frozenset({STARTING}),
    # It answers, or ends, or is given up; it may be told to stop, or its host may fall silent.
    STARTING: frozenset({READY, UNHEALTHY, BACKOFF, FAILED, STOPPING}),
    READY: frozenset({UNHEALTHY, BACKOFF, FAILED, STOPPING}),
    # It answers again, or is started anew: on another host, when its own is lost.
    UNHEALTHY: frozenset({READY, STARTING, BACKOFF, FAILED, STOPPING}),
    # There is no process in these two: a stop has nothing to wait for.
    BACKOFF: frozenset({STARTING, UNHEALTHY, FAILED, STOPPED}),
    FAILED: frozenset({STARTING, STOPPED}),
    # A restart goes on with a start.
    STOPPING: frozenset({STOPPED, STARTING, FAILED}),
}
STATUSES = tuple(MOVES)
WITH_PROCESS = frozenset({STARTING, READY, UNHEALTHY, STOPPING})
RUNNING = frozenset({STARTING, READY, UNHEALTHY, BACKOFF, STOPPING})
"""What counts as a running agent: there is a process, or there is going to be one again."""


class IllegalMove(Exception):
    """A mistake in the code: no state may be followed by that one."""


def check(before: str, after: str) -> None:
    """Raises `IllegalMove`."""
    if after not in MOVES[before]:
        raise IllegalMove(f"{before} is never followed by {after}")
