"""The shapes of problems (RFC 9457): of all that the API refuses."""

from __future__ import annotations

from datetime import datetime

from web.shapes.base import Shape, maybe, say


class Place(Shape):
    """A place in the body, and what is wrong there."""

    pointer: str = say("a JSON pointer (RFC 6901)")
    detail: str = say("what is wrong there")


class Problem(Shape):
    """What went wrong."""

    type: str = say("a path that names the kind of problem")
    title: str = say("the kind, in words")
    status: int = say("of the answer")
    detail: str = say("this case, in words")
    code: str = say("the kind, for machines")
    instance: str | None = say("the request, as `X-Request-Id` has it")
    errors: list[Place] = maybe("the places that cannot be used")


class OverLimitProblem(Problem):
    """A budget or an allowance is used up."""

    limit: float = maybe("how much there is in the period")
    used: float = maybe("how much is used, or held for jobs under way")
    unit: str = maybe("of both")
    resets_at: datetime = maybe("when the next period begins")


class UnavailableProblem(Problem):
    """A store does not answer."""

    checks: dict[str, str] = maybe("by dependency: `ok`, or the kind of error")
