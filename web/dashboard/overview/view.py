"""The overview: what is going on, and what needs somebody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from core import attention
from core.history import reading, spending
from core.history.documents import Point
from core.history.reading import History
from core.jobs import queues
from core.runtime import records
from web.context import caller, db, services, workspace_id
from web.dashboard.frame import answers

Document = dict[str, Any]

views = Blueprint("overview", __name__)

SPANS = {"hour": ("Last hour", "1h"), "day": ("Last day", "24h")}
LINKS = {
    "worker": "/queues#workers",
    "tick": "/scheduler",
    "agent": "/jobs?agent={about}&status=failed&within=1h",
    "process": "/agents/{about}/process",
    "allowance": "/agents/{about}/usage",
    "budget": "/settings",
    "provider": "/providers",
    "callback": "/jobs/{about}",
}
"""Where to look after a finding, by its kind."""
RECENT = 5
"""Minutes of which "jobs a minute" is the average."""
READ = ("accepted", "succeeded", "failed", "cancelled", "latency", "first_token", "cost", "reasons", "agents")
"""Of a point. The most of one are the sketches of each provider, which the page does not show."""


@views.get("/")
def overview() -> Response:
    """The first page."""
    span = request.args.get("span", "hour")
    history = History(db(), workspace_id(), only=READ)
    minutes = history.minutes()
    points = history.hours() if span == "day" else minutes
    return answers.page(
        "overview/page.html",
        span=span if span in SPANS else "hour",
        spans=SPANS,
        hour=reading.summary(minutes),
        a_minute=_a_minute(minutes),
        recent=RECENT,
        waiting=queues.waiting(db(), services().redis, workspace_id()),
        running=len(records.running(db(), workspace_id())),
        costs=_costs(history),
        throughput=_throughput(points),
        latency=_latency(points),
        reasons=reading.summary(points)["reasons"],
        findings=[
            (finding, LINKS[finding.kind].format(about=finding.about)) for finding in _findings(history)
        ],
    )


def _findings(history: History) -> list[attention.Finding]:
    mine = attention.of_workspace(history, services().redis, services().settings)
    return [*attention.of_installation(db()), *mine] if caller().role == "admin" else mine


def _a_minute(minutes: Sequence[Point]) -> float:
    """Jobs that ended in one of the last minutes, on average."""
    return sum(map(_ended, minutes[-RECENT:])) / RECENT


def _ended(point: Point) -> int:
    return point.get("succeeded", 0) + point.get("failed", 0) + point.get("cancelled", 0)


def _costs(history: History) -> Document:
    """USD of today, of this month, and of the month before up to the same day."""
    today = history.now.date()
    month = today.replace(day=1)
    before = (month - timedelta(days=1)).replace(day=1)
    spent = spending.by_date(history, before)
    return {
        "today": spent.get(today, Decimal(0)),
        "month": sum((cost for at, cost in spent.items() if at >= month), Decimal(0)),
        "before": sum((cost for at, cost in spent.items() if at < month and at.day <= today.day), Decimal(0)),
    }


def _throughput(points: Sequence[Point]) -> Document:
    return {
        "x": [int(point["at"].timestamp()) for point in points],
        "series": [
            {"label": "Succeeded", "tone": "run", "values": [point.get("succeeded", 0) for point in points]},
            {"label": "Failed", "tone": "bad", "values": [point.get("failed", 0) for point in points]},
        ],
        "kind": "bars",
        "unit": "",
    }


def _latency(points: Sequence[Point]) -> Document:
    found = [reading.quantiles(point) for point in points]
    rows = (
        ("Median", "run", "p50_ms"),
        ("95 %", "warn", "p95_ms"),
        ("First token, 95 %", "good", "first_token_p95_ms"),
    )
    return {
        "x": [int(point["at"].timestamp()) for point in points],
        "series": [
            {"label": label, "tone": tone, "values": [one[name] for one in found]}
            for label, tone, name in rows
        ],
        "kind": "lines",
        "unit": "ms",
    }
