"""What views say of themselves for the specification: the shapes of their answers, headers, ways to fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask_openapi.types import ResponseDict
from pydantic import BaseModel

from web.specification.headers import said

View = TypeVar("View", bound=Callable[..., Any])

SHAPES: dict[str, type[BaseModel]] = {}
"""The shapes that views name, for `web.specification.document`."""
MAKES_A_JOB = ("Prefer", "Idempotency-Key")
"""The headers of a request that makes a job."""
NOTHING: tuple[tuple[str, ...], frozenset[int]] = ((), frozenset())


def shows(
    shape: type[BaseModel], description: str, *, status: int = 200, headers: tuple[str, ...] = ()
) -> ResponseDict:
    """For a route's `responses`: a success whose body has this shape."""
    SHAPES[shape.__name__] = shape
    schema = {"$ref": f"#/components/schemas/{shape.__name__}"}
    content = {"application/json": {"schema": schema}}
    return {str(status): {"description": description, "headers": said(*headers), "content": content}}


def accepts(job: type[BaseModel]) -> ResponseDict:
    """For the `responses` of a route that makes a job, or finds the one that an earlier request made."""
    finished = shows(
        job, "The finished job (with `Prefer: wait=N`)", headers=("Location", "Preference-Applied")
    )
    return {**finished, **shows(job, "The job", status=202, headers=("Location", "Retry-After"))}


def tells(*, takes: tuple[str, ...] = (), fails: tuple[int, ...] = ()) -> Callable[[View], View]:
    """Write on a view which headers it reads, and how it may fail beside what `web.specification` knows."""

    def mark(view: View) -> View:
        view.tells = (takes, frozenset(fails))  # type: ignore[attr-defined]
        return view

    return mark


def taken(view: Callable[..., Any]) -> tuple[str, ...]:
    """The headers that a view reads."""
    return getattr(view, "tells", NOTHING)[0]


def failing(view: Callable[..., Any]) -> frozenset[int]:
    """How a view may fail."""
    return getattr(view, "tells", NOTHING)[1]
