"""The filters of the list of jobs, as they stand in its address."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pymongo.database import Database

from core.agents import agents
from core.clock import utcnow
from core.errors import NotFound
from core.jobs.document import Status
from web import problems
from web.messages import Priority

Document = dict[str, Any]

WITHIN = {
    "15m": ("15 minutes", timedelta(minutes=15)),
    "1h": ("hour", timedelta(hours=1)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
}


class Filters(BaseModel):
    """`agent`: a name, or an id. `key`: a key's id. `code`: an error's."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)
    status: Status | None = None
    kind: str | None = Field(None, max_length=100)
    agent: str | None = Field(None, max_length=100)
    key: str | None = Field(None, max_length=100)
    provider: str | None = Field(None, max_length=100)
    code: str | None = Field(None, max_length=100)
    priority: Priority | None = None
    within: str | None = Field(None, pattern=f"^({'|'.join(WITHIN)})$")
    q: str | None = Field(None, max_length=200)

    def query(self) -> str:
        """For an address: the filters that are set."""
        return urlencode(self.model_dump(exclude_none=True))

    def without(self, name: str) -> str:
        """As `query`, but for one of them."""
        return urlencode(self.model_dump(exclude_none=True, exclude={name}))

    def since(self) -> datetime | None:
        return utcnow() - WITHIN[self.within][1] if self.within else None

    def asked(self, db: Database[Document], workspace_id: str) -> Document:
        """For `core.jobs.queries`."""
        return {
            "status": self.status,
            "kind": self.kind,
            "agent_id": _agent(db, workspace_id, self.agent) if self.agent else None,
            "created_by": self.key,
            "provider": self.provider,
            "code": self.code,
            "priority": self.priority,
            "q": self.q,
        }


def read() -> Filters:
    """Those of this request's address. Raises `Invalid`."""
    given = {name: value.strip() for name, value in request.args.items() if value.strip()}
    try:
        return Filters.model_validate(given)
    except ValidationError as error:
        raise problems.invalid(error) from None


def _agent(db: Database[Document], workspace_id: str, named: str) -> str:
    for reference in (named, f"{agents.BY_NAME}{named}"):
        try:
            return agents.named(db, workspace_id, reference)["_id"]
        except NotFound:
            continue
    return named  # the jobs of an agent that was deleted are there still, under its id
