"""The page of the providers: calls, failures and times of each by day, breakers, and the credentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from flask import Blueprint, Response, request

from core import attention
from core.agents import credentials
from core.history import reading
from core.history.documents import ProviderPoint
from core.llm import breaker
from core.store import pages
from web.context import db, services, workspace_id
from web.dashboard.frame import answers
from web.dashboard.providers import one_credential

Document = dict[str, Any]
Days = Mapping[date, Mapping[str, ProviderPoint]]

views = Blueprint("providers", __name__)
views.register_blueprint(one_credential.views)

SPANS = {"7": "7 days", "30": "30 days"}
NO_CALLS = ProviderPoint(name="", calls=0, failed=0, latency={}, first_token={})
TIMES = (
    ("Median", "run", "p50_ms"),
    ("95 %", "warn", "p95_ms"),
    ("First token, 95 %", "good", "first_token_p95_ms"),
)


@views.get("/providers")
def listed() -> Response:
    """Every provider that was asked or would be, one of them by day, and the credentials."""
    span = request.args.get("days") if request.args.get("days") in SPANS else next(iter(SPANS))
    days, whole = reading.providers(db(), workspace_id(), days=int(span or 0))
    breakers = _breakers()
    names = sorted({*whole, *breakers}, key=lambda name: (-_of(whole, name)["calls"], name))
    chosen = _chosen(names)
    kept, after = credentials.page(
        db(), workspace_id(), limit=pages.DEFAULT_LIMIT, cursor=request.args.get("cursor")
    )
    return answers.page(
        "providers/page.html",
        span=span,
        spans=SPANS,
        providers=[_row(_of(whole, name), name, days, breakers.get(name, ())) for name in names],
        chosen=chosen,
        calls=_calls(days, chosen),
        times=_times(days, chosen),
        by_day=[_row(_of(of_day, chosen), str(at)) for at, of_day in reversed(days.items())],
        credentials=kept,
        users=credentials.users(db(), workspace_id()) if kept else {},
        after=after,
        turned=bool(request.args.get("cursor")),
    )


def _breakers() -> dict[str, list[tuple[str, bool]]]:
    """By provider: the addresses that the workspace asks, and whether the breaker there is open."""
    asked = attention.addresses(db(), services().settings, workspace_id())
    opened = breaker.opened(services().redis, asked)
    found: dict[str, list[tuple[str, bool]]] = {}
    for provider, address in sorted(asked):
        found.setdefault(provider, []).append((address, (provider, address) in opened))
    return found


def _chosen(names: Sequence[str]) -> str:
    """Whose days are drawn: who is asked for, else who was asked most."""
    wanted = request.args.get("provider", "")
    return wanted if wanted in names or not names else names[0]


def _of(points: Mapping[str, ProviderPoint], name: str) -> ProviderPoint:
    return points.get(name, NO_CALLS)


def _row(
    point: ProviderPoint, name: str, days: Days | None = None, breakers: Iterable[tuple[str, bool]] = ()
) -> Document:
    """What a table tells of these calls."""
    return {
        **reading.quantiles(point),
        "name": name,
        "calls": point["calls"],
        "failed": point["failed"],
        "share": point["failed"] / point["calls"] if point["calls"] else None,
        "by_day": [_of(of_day, name)["calls"] for of_day in (days or {}).values()],
        "breakers": list(breakers),
    }


def _calls(days: Days, name: str) -> Document:
    of = [_of(of_day, name) for of_day in days.values()]
    return {
        "x": _moments(days),
        "series": [
            {"label": "Answered", "tone": "run", "values": [one["calls"] - one["failed"] for one in of]},
            {"label": "Failed", "tone": "bad", "values": [one["failed"] for one in of]},
        ],
        "kind": "bars",
        "unit": "",
    }


def _times(days: Days, name: str) -> Document:
    found = [reading.quantiles(_of(of_day, name)) for of_day in days.values()]
    series = [
        {"label": label, "tone": tone, "values": [one[field] for one in found]}
        for label, tone, field in TIMES
    ]
    return {"x": _moments(days), "series": series, "kind": "lines", "unit": "ms"}


def _moments(days: Iterable[date]) -> list[int]:
    return [int(datetime.combine(at, time.min, UTC).timestamp()) for at in days]
