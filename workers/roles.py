"""The roles of worker processes: how each carries its jobs out, and how many at a time.

`core.jobs.kinds` says which kinds of job a role takes, and from which queues.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.jobs.kinds import ISOLATION


@dataclass(frozen=True)
class Role:
    """`slots`: how many jobs at the same time; a workspace alone gets four fifths. `green`: in greenlets;
    otherwise in threads. `seats`: may a new job be born here?

    Greenlets are for work that waits for the network: hundreds of them wait in one process, and each can be
    ended from outside. Threads are for work that hashes, writes to disk or starts processes.
    """

    name: str
    slots: int
    green: bool
    seats: bool = False


ROLES = {
    role.name: role
    for role in (
        Role("chat", slots=2560, green=True, seats=True),
        # One at a time: if this worker dies, it is known which job killed it.
        Role(ISOLATION, slots=1, green=True),
        # They wait for agents' processes, of which the host itself starts a few at a time.
        Role("runtime", slots=160, green=False),
        Role("drive", slots=10, green=False),
    )
}
