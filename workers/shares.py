"""Shares: who has which of this process's slots, and whether one more may begin."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from core.jobs.lanes import SHARE, Ticket
from core.jobs.model import BACKGROUND

BEGINNING = 8
"""Jobs that are claimed at the same time. More of them delay each other, and the next, at the store: with 16,
and as many ends, a chat beside 10,000 quick jobs took twice as long, and these were no sooner done."""


class Shares:
    """`took` a ticket, it has `begun`, it is `over`: by whichever thread."""

    def __init__(self, slots: int, beginning: int = BEGINNING) -> None:
        self.slots = slots
        self.beginning = beginning
        self._held: dict[str, Ticket] = {}
        self._beginning: set[str] = set()
        self._by_workspace: Counter[str] = Counter()
        self._by_scope: Counter[str] = Counter()
        self._background = 0
        self._changed = threading.Condition()

    @property
    def free(self) -> int:
        return self.slots - len(self._held)

    @property
    def idle(self) -> bool:
        """Has nobody a slot?"""
        return not self._held

    @property
    def background(self) -> int:
        """How many more of low priority may begin."""
        return max(1, self.slots // 2) - self._background

    @property
    def by_workspace(self) -> Mapping[str, int]:
        return self._by_workspace

    def of_scope(self, name: str) -> int:
        """How many slots a scope has: a workspace, a key, an agent."""
        return self._by_scope[name]

    def room(self, timeout_s: float) -> int:
        """Wait until one more may begin; how many may by then."""
        with self._changed:
            self._changed.wait_for(lambda: self._room() > 0, timeout_s)
            return max(0, self._room())

    def _room(self) -> int:
        return min(self.free, self.beginning - len(self._beginning))

    def fair(self, workspace_id: str) -> bool:
        """May this workspace have one more, as `core.jobs.lanes` would say?"""
        return self._by_workspace[workspace_id] < SHARE * self.free

    def holds(self, job_id: str) -> bool:
        return job_id in self._held

    def took(self, ticket: Ticket) -> bool:
        """It has a slot now. False: it has one already, since its id was sent again."""
        with self._changed:
            if ticket.job_id in self._held:
                return False
            self._held[ticket.job_id] = ticket
            self._beginning.add(ticket.job_id)
            self._by_workspace[ticket.workspace_id] += 1
            self._by_scope.update(ticket.scopes)
            self._background += ticket.priority == BACKGROUND
            return True

    def begun(self, job_id: str) -> None:
        """It was claimed, or could not be: others may begin."""
        with self._changed:
            self._beginning.discard(job_id)
            self._changed.notify_all()

    def over(self, job_id: str) -> Ticket | None:
        """Its slot is free. Returns the ticket that had it."""
        with self._changed:
            ticket = self._held.pop(job_id, None)
            if ticket is None:
                return None
            self._beginning.discard(job_id)
            self._by_workspace[ticket.workspace_id] -= 1
            self._by_scope.subtract(ticket.scopes)
            for counted in (self._by_workspace, self._by_scope):
                for name in (ticket.workspace_id, *ticket.scopes):
                    if not counted[name]:
                        del counted[name]
            self._background -= ticket.priority == BACKGROUND
            self._changed.notify_all()
            return ticket
