"""Queries: a route that takes none refuses what it would ignore, such as `limit` for a list without pages."""

from __future__ import annotations

from inspect import signature

from flask import Flask, request

from core.errors import Invalid
from web.resource import PREFIX


def register(app: Flask) -> None:
    """Check every request of the API; those with a query of their own refuse what that does not know."""
    takers: dict[str, bool] = {}

    def check() -> None:
        if not request.args or request.endpoint is None or not request.path.startswith(f"{PREFIX}/"):
            return
        if request.endpoint not in takers:
            takers[request.endpoint] = "query" in signature(app.view_functions[request.endpoint]).parameters
        if not takers[request.endpoint]:
            places = [{"pointer": f"/{name}", "detail": "is not taken here"} for name in request.args]
            raise Invalid("this takes no query", errors=places)

    app.before_request(check)
