"""Many jobs at once: those that were picked, or all that the filters of the list match."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.datastructures import MultiDict

from core.clock import rfc3339, utcnow
from core.errors import Invalid, Problem
from core.jobs import control, queries
from core.jobs.document import Job, Status
from web import problems
from web.context import db, services, workspace_id
from web.dashboard.jobs.filters import Filters
from web.doors import again

Document = dict[str, Any]

MOST = 500
"""Each takes a few writes, and whoever pressed waits. What is left is done by pressing again: what was done
is not found again, and what cannot be done is told."""


def _cancel(job: Job) -> None:
    control.cancel(db(), services().redis, job)


def _retry(job: Job) -> None:
    again.run(job)


def _run_again() -> set[str]:
    return queries.run_again(db(), workspace_id())


@dataclass(frozen=True)
class Action:
    """`states`: of the jobs that it can be done to. `done`: those of a workspace that need it no more."""

    act: Callable[[Job], None]
    done: Callable[[], Collection[str]]
    states: tuple[Status, ...]
    label: str
    past: str


ACTIONS = {
    "cancel": Action(_cancel, tuple, ("queued", "running"), "Cancel", "cancelled"),
    "retry": Action(_retry, _run_again, ("failed", "cancelled"), "Run again", "run again"),
}


class Chosen(BaseModel):
    """`ids`: those that were picked; empty: all that `filters` match. `until`: none that came later."""

    model_config = ConfigDict(hide_input_in_errors=True)
    action: str = Field(pattern=f"^({'|'.join(ACTIONS)})$")
    ids: list[str] = Field(max_length=MOST)
    filters: Filters
    until: datetime

    @property
    def label(self) -> str:
        return ACTIONS[self.action].label

    @property
    def past(self) -> str:
        return ACTIONS[self.action].past

    def fields(self) -> list[tuple[str, str]]:
        """For the form that confirms: the same again."""
        of_filters = self.filters.model_dump(exclude_none=True).items()
        ids = [("id", one) for one in self.ids]
        return [("action", self.action), ("until", rfc3339(self.until) or ""), *of_filters, *ids]

    def count(self) -> int:
        """How many it would be, at most `MOST`."""
        return len(self._found(MOST))

    def act(self, most: int) -> tuple[int, list[Problem]]:
        """Do it. Returns how many it was done to, and what was said of those to which it cannot be done."""
        done, refused = 0, list[Problem]()
        for job_id in self._found(min(most, MOST)):
            try:
                ACTIONS[self.action].act(queries.get(db(), workspace_id(), job_id))
                done += 1
            except Problem as problem:
                refused.append(problem)
        return done, refused

    def _found(self, most: int) -> list[str]:
        asked = self.filters.asked(db(), workspace_id())
        status = asked.pop("status")
        return queries.several(
            db(),
            workspace_id(),
            states=[state for state in ACTIONS[self.action].states if status in (None, state)],
            until=self.until,
            most=most,
            ids=self.ids,
            without=ACTIONS[self.action].done(),
            since=self.filters.since(),
            **asked,
        )


def read(given: MultiDict[str, str]) -> Chosen:
    """What the form says. Raises `Invalid`."""
    fields: Mapping[str, str] = {name: value for name, value in given.items() if value}
    try:
        return Chosen(
            action=fields.get("action", ""),
            ids=given.getlist("id"),
            filters=Filters.model_validate(fields),
            until=datetime.fromisoformat(fields["until"]) if "until" in fields else utcnow(),
        )
    except ValidationError as error:
        raise problems.invalid(error) from None
    except ValueError:
        raise Invalid("the time cannot be read") from None


def number(text: str | None) -> int:
    """How many were confirmed. Raises `Invalid`."""
    if not (text or "").isdecimal():
        raise Invalid("say how many")
    return int(text or 0)
