"""How an agent is, in a colour and a few words: for the list, and the head of its pages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core import attention
from core.documents import Agent
from core.runtime import states
from core.runtime.documents import Record


@dataclass(frozen=True)
class Light:
    """`tone`: a state that the stylesheet knows, and that is read. `words`: more of it."""

    tone: str
    words: str


BAD = {
    states.FAILED: Light("failed", "Its process was given up"),
    states.UNHEALTHY: Light("unhealthy", "Its process does not answer"),
    states.BACKOFF: Light("late", "Its process died, and is started again soon"),
}
GOOD = Light("healthy", "No job of it failed within the hour")


def light(agent: Agent, record: Record | None, failures: Mapping[str, int]) -> Light:
    """The worst of what is known. `failures`: how many jobs failed within the hour, by agent."""
    if record is not None and record["status"] in BAD:
        return BAD[record["status"]]
    if agent["llm_config"] is None:
        return Light("unready", "It has no provider yet")
    if failed := failures.get(agent["_id"], 0):
        often = failed >= attention.FAILED_OFTEN
        return Light("failing" if often else "some_failed", f"{failed} of its jobs failed within the hour")
    return GOOD
