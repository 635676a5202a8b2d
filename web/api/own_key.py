"""The key of a request, asked about itself: what it may do, what it has spent, what it has left."""

from __future__ import annotations

from typing import Any

from flask import Response

from core.accounts import keys, limits
from core.clock import utcnow
from core.metering import budgets, key_usage
from core.metering.budget import of_key
from web import auth
from web.access import access
from web.answers import answer
from web.api.usage import DaysQuery
from web.context import caller, db, services
from web.resource import resource
from web.shapes.keys import OwnKey
from web.shapes.usage import KeyUsage
from web.specification.says import shows

api = resource("own_key", "The key that asks")


@api.get("/keys/me", responses=shows(OwnKey, "The key: its role, limits and budget"))
@access(agent=True)
def get_own_key() -> Response:
    """What this key may do, and what it has left: of its budget, and of this minute's limits."""
    key = keys.of_text(db(), auth.presented(), utcnow())
    standings = limits.look(services().redis, caller())
    return answer(
        {
            **keys.public(key),
            "may": list(keys.MAY[key["role"]]),
            "budget": _budget(),
            "limits": [standing.public() for standing in standings],
        }
    )


@api.get("/keys/me/usage", responses=shows(KeyUsage, "Totals, and by date"))
@access(agent=True)
def own_key_usage(query: DaysQuery) -> Response:
    """What this key used. One that has replaced others goes on with what they used."""
    workspace = None if caller().role == "admin" else caller().workspace_id
    found = key_usage.of_key(db(), caller().key_id, workspace, query.chosen())
    return answer({**found, "budget": _budget()})


def _budget() -> dict[str, Any] | None:
    budget = of_key(caller(), utcnow())
    return None if budget is None else budgets.used(db(), budget)
