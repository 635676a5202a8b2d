"""Who may call a view, written on the view. What is not written here is for members, and viewers may read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from core.documents import Role

View = TypeVar("View", bound=Callable[..., Any])

NAMES_AN_AGENT = frozenset({"agent_id", "job_id"})
READS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Access:
    """`public`: no key needed. `admin`: admins alone. `agent`: also keys that are bound to one agent.

    `filtered`: the view itself shows a key that is bound to some agents no more than theirs. `runtime`: also
    an agent's own process. `members`: viewers may not read it. `own`: it is about the caller's own session:
    viewers may write it. `ticket`: a ticket for the job will do (`core.accounts.tickets`).
    """

    public: bool = False
    admin: bool = False
    agent: bool = False
    filtered: bool = False
    runtime: bool = False
    members: bool = False
    own: bool = False
    ticket: bool = False

    def allows(self, role: Role, method: str) -> bool:
        """May this role call this view?"""
        if role == "admin" or self.public:
            return True
        if self.admin:
            return False
        if role == "agent":
            return self.agent
        if role == "runtime":
            return self.runtime
        return role == "member" or (role == "viewer" and (self.own or (method in READS and not self.members)))

    def shows_only_its_own(self, names: set[str]) -> bool:
        """May a key that is bound to some agents come in? `names`: the parameters of the route."""
        return self.filtered or self.agent or bool(names & NAMES_AN_AGENT)


DEFAULT = Access()


def access(
    *,
    public: bool = False,
    admin: bool = False,
    agent: bool = False,
    filtered: bool = False,
    runtime: bool = False,
    members: bool = False,
    own: bool = False,
    ticket: bool = False,
) -> Callable[[View], View]:
    """Write on a view who may call it; stands below the route's decorator."""

    def mark(view: View) -> View:
        view.access = Access(  # type: ignore[attr-defined]
            public, admin, agent, filtered, runtime, members, own, ticket
        )
        return view

    return mark


def of(view: Callable[..., Any] | None) -> Access:
    """What is written on a view."""
    return getattr(view, "access", DEFAULT)
