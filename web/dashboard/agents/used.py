"""What an agent used: by date and by model, and what is left of its tier's allowance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from core.clock import utcnow
from core.llm import tiers
from core.metering import reports
from core.metering.periods import period
from web.context import db, prices
from web.dashboard.agents import one

Document = dict[str, Any]

views = Blueprint("used", __name__)

PERIODS = {"day": "Today", "week": "7 days", "month": "This month"}


@views.get("/agents/<agent_id>/usage")
def show(agent_id: str) -> Response:
    """The report of the API, drawn."""
    agent, name = one.get(agent_id), request.args.get("period", "month")
    name = name if name in PERIODS else "month"
    now = utcnow()
    monthly = tiers.table().monthly_tokens()
    report = reports.agent(db(), agent, period(now, name=name), monthly, now, prices())
    return one.page(
        "agents/usage.html",
        agent,
        report=report,
        period=name,
        periods=PERIODS,
        tokens=_chart(
            report["by_date"], "", (("Input", "run", "tokens_input"), ("Output", "good", "tokens_output"))
        ),
        cost=_chart(report["by_date"], "$", (("Cost", "run", "cost"),)),
    )


def _chart(dates: Sequence[Document], unit: str, rows: Sequence[tuple[str, str, str]]) -> Document:
    return {
        "x": [int(datetime.fromisoformat(one["date"]).replace(tzinfo=UTC).timestamp()) for one in dates],
        "series": [
            {"label": label, "tone": tone, "values": [one[field] or 0 for one in dates]}
            for label, tone, field in rows
        ],
        "kind": "bars",
        "unit": unit,
    }
