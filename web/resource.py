"""How a resource of the API is set up: its blueprint, with what every operation of it may answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self, cast

from flask import request
from flask_openapi import APIBlueprint, Tag
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from core.agents import agents
from core.agents.fields import LONGEST_NAME
from core.clock import duration, utcnow
from core.store.pages import DEFAULT_LIMIT, MOST
from core.store.windows import AHEAD, OLDEST
from web.context import db, workspace_id
from web.requests import Request

PREFIX = "/api/v1"
SECURITY: list[dict[str, list[str]]] = [{"key": []}, {"header": []}]
MOST_ITEMS = 10_000
"""Messages of a chat, parts of a message, and whatever else a body lists."""
MANY: Any = Field(max_length=MOST_ITEMS, fail_fast=True)
"""For a list in a list: `Annotated[list[…], MANY]`. The first item that is wrong ends the look at it: a
hundred thousand that are wrong took a quarter of a second."""


def at_most(longest: timedelta) -> Callable[[timedelta], timedelta]:
    def check(value: timedelta) -> timedelta:
        if value > longest:
            raise ValueError(f"may be at most {longest.days}d")
        return value

    return check


class Body(BaseModel):
    """What a request holds, to be understood within the turn in which it was parsed."""

    @classmethod
    def model_validate(cls, obj: Any, **more: Any) -> Self:
        with cast("Request", request).turn() if request else nullcontext():
            return super().model_validate(obj, **more)


class Model(Body):
    """A body: what it does not know it refuses, and what it refuses it does not repeat."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    def given(self) -> dict[str, Any]:
        """What the request said, without the defaults."""
        return self.model_dump(exclude_unset=True)


def example(**body: Any) -> ConfigDict:
    """For a body's `model_config`: what the specification shows, and what a test of every route sends."""
    return ConfigDict(json_schema_extra={"examples": [body]})


class Nothing(Model):
    """A body without fields: none is needed, and what is in it is refused."""

    model_config = example()


Grace = Annotated[
    timedelta,
    BeforeValidator(duration),
    AfterValidator(at_most(timedelta(days=30))),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 0, "examples": [3600]}),
]


class Rotation(Model):
    """A secret is replaced by a new one."""

    grace: Grace = Field(
        default_factory=timedelta, description="the old one lives on for so long: seconds, or 10m, 1h, 7d"
    )


class PageQuery(BaseModel):
    """What every list takes; a misspelt filter is refused, since it would show what was not asked for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MOST)
    cursor: str | None = Field(default=None, max_length=400)


def since(at: datetime | None) -> datetime | None:
    """The `since` of a query, in UTC unless it says otherwise, within the time of all that is kept."""
    if at is None:
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(aware, OLDEST), utcnow() + AHEAD)


Id = Annotated[str, StringConstraints(min_length=1, max_length=100)]
BY_ID_OR_NAME = "an id, or `agent:<name>`"


def _meant(reference: str) -> str:
    return agents.id_of(db(), workspace_id(), reference)


AgentId = Annotated[
    str,
    StringConstraints(max_length=len(agents.BY_NAME) + LONGEST_NAME),
    AfterValidator(_meant),
    Field(description=BY_ID_OR_NAME),
]
"""An agent that a query, a form or a body names: read as its id. In paths `web.auth` sees to it."""


class AgentPath(BaseModel):
    agent_id: Id = Field(description=BY_ID_OR_NAME, json_schema_extra={"example": "agent:demo"})


def resource(name: str, description: str, *, prefix: str = PREFIX) -> APIBlueprint:
    """The blueprint of a resource whose calls need a key."""
    return APIBlueprint(
        name,
        __name__,
        url_prefix=prefix,
        abp_tags=[Tag(name=name, description=description)],
        abp_security=SECURITY,
        operation_id_callback=_operation_id,
    )


def _operation_id(*, name: str, path: str, method: str) -> str:
    """The view's own name, which a client's method is to have."""
    return name
