"""Requests in progress: a workspace has at most as many places of a web process as it leaves to others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from flask import Flask, Response, current_app, g
from werkzeug.wsgi import ClosingIterator

from core.errors import RateLimited
from web.context import PLACES, workspace_id

MOST = 2000
"""The connections of a web process; its gunicorn says how many it has."""


class Places:
    """Counts what is in progress, by workspace: with one at most half, with two a third each, and so on.

    All of it happens in one thread.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.taken: Counter[str] = Counter()

    def take(self, whose: str) -> Callable[[], None]:
        """One more; call what is returned when it has ended. Raises `RateLimited`."""
        if self.taken[whose] >= self.most - self.taken.total():
            raise RateLimited(
                f"{self.taken[whose]} requests of this workspace are in progress here, as many as are left "
                "to others; wait for some to end"
            )
        self.taken[whose] += 1

        def leave() -> None:
            self.taken[whose] -= 1
            if not self.taken[whose]:
                del self.taken[whose]

        return leave


def register(app: Flask) -> None:
    """Let each request of this app leave its place: when it is answered, and a stream when it has ended."""
    app.extensions[PLACES] = Places()
    app.after_request(_stay)
    app.teardown_request(_leave)


def take() -> None:
    """A place for this request. Raises `RateLimited`."""
    places: Places = current_app.extensions[PLACES]
    g.leave = places.take(workspace_id())


def _stay(response: Response) -> Response:
    if response.is_streamed and "leave" in g:
        response.response = ClosingIterator(response.response, g.pop("leave"))  # type: ignore[arg-type]
    return response


def _leave(_: BaseException | None) -> None:
    if "leave" in g:
        g.pop("leave")()
