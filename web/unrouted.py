"""An address that no route knows: whose is it, and is it a person who asks?"""

from __future__ import annotations

from flask import current_app, request

DASHBOARD = "dashboard"
KEYS = frozenset({"Authorization", "X-API-Key"})


def owner() -> str | None:
    """The blueprint below whose prefix it lies; else the dashboard's for a person, and None for a program."""
    path = f"{request.path}/"
    for name, blueprint in current_app.blueprints.items():
        if blueprint.url_prefix and path.startswith(f"{blueprint.url_prefix}/"):
            return name
    return DASHBOARD if request.url_rule is None and _in_a_browser() else None


def _in_a_browser() -> bool:
    """A browser that is to show what comes prefers a page to all else; programs take anything, or JSON."""
    prefers = request.accept_mimetypes.best_match(("application/json", "text/html"))
    return prefers == "text/html" and not any(name in request.headers for name in KEYS)
