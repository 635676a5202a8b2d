"""What all shapes are made of: fields with a description, and a page of a list."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from pydantic import BaseModel, Field, create_model

CURSOR = "for the next page, as `?cursor=`; null: this is the last one"

LOOKED = "of a search that is not over: nothing before this was looked at"


class Shape(BaseModel):
    """A JSON object of an answer."""


class Listed(Shape):
    """A page of a list."""

    next_cursor: str | None = Field(description=CURSOR)
    looked_back_to: datetime | None = Field(None, description=LOOKED)
    detail: str | None = Field(None, description="what to ask instead, where a search is not over")


@cache
def page(shape: type[BaseModel]) -> type[BaseModel]:
    """A page of a list of these: `AgentPage`."""
    items: Any = list[shape]  # type: ignore[valid-type]
    return create_model(
        f"{shape.__name__}Page",
        __base__=Listed,
        __doc__="A page of a list.",
        items=(items, say("what it lists")),
    )


def say(description: str) -> Any:
    """A field that is always there."""
    return Field(description=description)


def maybe(description: str) -> Any:
    """A field that may be absent."""
    return Field(None, description=description)
