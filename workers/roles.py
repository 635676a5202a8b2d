"""The kinds of worker process: which queues each takes from, and how much it carries at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """`slots`: how many jobs at the same time."""

    name: str
    queues: tuple[str, ...]
    slots: int


ROLES = {
    role.name: role
    for role in (
        Role("chat", queues=("chat",), slots=512),
        # One at a time: the next worker that dies here names the job that killed it.
        Role("isolation", queues=("isolation",), slots=1),
    )
}
