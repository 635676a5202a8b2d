"""Usage: by day and by whom, the tiers and what is above them, statements, and the audit's two numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request
from pydantic import ValidationError

from core.accounts import keys
from core.agents import agents
from core.clock import utcnow
from core.llm import managed, tiers
from core.metering import audit, export, reports, stacks, statement, statements, usage
from core.metering.periods import Period
from web import problems
from web.api.usage import ExportQuery, OverageQuery, StatementPath
from web.context import db, services, workspace_id
from web.dashboard.frame import answers
from web.dashboard.usage import chart

views = Blueprint("usage", __name__)

ZONE = "vutler_tz"
"""The cookie in which the page's script keeps the viewer's time zone."""
MEASURES = {"cost": "Cost", "tokens_total": "Tokens", "tokens_cached": "Cached tokens"}
MOST_CALLS = 2000
"""So many are cut by the viewer's days; the bars of more are days of UTC, which roll-ups have."""
MOST_DUE = 24
"""Statements whose amount is read for the list."""
CUTS = {"model": "Model", "agent": "Agent", "provider": "Provider", "key": "API key"}


@views.get("/usage")
def used() -> Response:
    """A period, stacked by day."""
    during = _during()
    by, measure = _one_of("by", CUTS), _one_of("show", MEASURES)
    found = usage.of_workspace(db(), workspace_id(), during)
    total = usage.shown(found.total())
    local = during.is_utc or total["requests"] <= MOST_CALLS
    cut = _cut(during, by, local=local)
    drawn = chart.stacked(during.dates(), cut, measure)
    return answers.page(
        "usage/page.html",
        during=during,
        by=by,
        cuts=CUTS,
        measure=measure,
        measures=MEASURES,
        total=total,
        local=local,
        chart=drawn,
        rows=_rows(cut.values(), drawn.names),
        labels=_labels(by, drawn.totals),
        by_date=[(date, usage.shown(sums)) for date, sums in reversed(found.by_date.items())],
        period=request.args.get("period", "" if "from" in request.args else "month"),
    )


@views.get("/usage/tiers")
def allowances() -> Response:
    """What each tier allows, how far it is used, and the calls that were above."""
    now, query = utcnow(), _read(OverageQuery)
    month = query.month or f"{now:%Y-%m}"
    above = reports.overage(db(), workspace_id(), month, limit=query.limit, cursor=query.cursor)
    table, settings = tiers.table(), services().settings
    shown = {
        name: {**tier.model_dump(), "available": managed.available(name, settings)}
        for name, tier in table.tiers.items()
    }
    on_tiers = reports.allowances_of(db(), workspace_id(), f"{now:%Y-%m}", table.monthly_tokens(), now)
    return answers.page(
        "usage/tiers.html",
        tiers=reports.tiers(db(), workspace_id(), shown, now)["items"],
        agents=on_tiers,
        overage=above,
        names=_labels("agent", (row["agent_id"] for row in above["items"] + above["by_agent"] + on_tiers)),
        month=month,
    )


@views.get("/usage/statements")
def issued() -> Response:
    """The statements, and what this month comes to so far."""
    month = f"{utcnow():%Y-%m}"
    listed = statements.listed(db(), workspace_id())
    due = [_due(one["month"], one["revision"]) for one in listed[:MOST_DUE]]
    return answers.page(
        "usage/statements.html", statements=listed, due=due, so_far=_due(month, None), month=month
    )


def _due(month: str, revision: int | None) -> Any:
    """USD of a month as it was issued, or as far as it has come."""
    found = statements.get(db(), workspace_id(), month, tiers.table().prices_usd(), revision=revision)
    return found["total"]["due_usd"]


@views.get("/usage/statements/<month>.csv")
def statement_file(month: str) -> Response:
    """A month's statement for a spreadsheet."""
    wanted = _read(StatementPath, {"month": month}).month
    found = statements.get(db(), workspace_id(), wanted, tiers.table().prices_usd(), revision=None)
    return _file(statement.comma_separated(found), f"statement-{workspace_id()}-{wanted}.csv")


@views.get("/usage/export.csv")
def rows_file() -> Response:
    """The ledger's rows of a period for a spreadsheet."""
    during = _during()
    dates = during.dates()
    rows = export.comma_separated(export.rows(db(), workspace_id(), during))
    return _file(rows, f"usage-{workspace_id()}-{dates[0]}-{dates[-1]}.csv")


@views.get("/usage/audit")
def audited() -> Response:
    """Provider calls against the ledger's rows: two numbers that must be equal."""
    during = _during("day")
    retained_since = utcnow() - timedelta(days=services().settings.job_retention_days)
    found = audit.audit(db(), workspace_id(), during, retained_since=retained_since)
    period = request.args.get("period", "" if "from" in request.args else "day")
    return answers.page("usage/audit.html", audit=found, during=during, period=period)


def _during(usual: str = "month") -> Period:
    """The days that are asked for, in the viewer's time zone, as far as it is known."""
    given: dict[str, str] = {} if request.args.get("from") else {"period": usual}
    given |= {name: request.args[name] for name in ("period", "from", "to") if request.args.get(name)}
    zone = request.args.get("tz") or request.cookies.get(ZONE) or "UTC"
    during: Period = _read(ExportQuery, {**given, "tz": zone}).chosen()
    return during


def _cut(during: Period, by: str, *, local: bool) -> dict[str, dict[str, dict[str, Any]]]:
    if local and not during.is_utc:
        return stacks.by_local_date(db(), workspace_id(), during, by)
    return stacks.by_date(db(), workspace_id(), during.dates(), by)


def _read(query: Any, given: dict[str, str] | None = None) -> Any:
    """Raises `Invalid` for what the API would refuse too."""
    known = {name: request.args[name] for name in ("month", "cursor") if request.args.get(name)}
    try:
        return query.model_validate(known if given is None else given)
    except ValidationError as error:
        raise problems.invalid(error) from None


def _one_of(name: str, allowed: dict[str, str]) -> str:
    """A choice of the page; the first one, if it is none of them."""
    given = request.args.get(name, "")
    return given if given in allowed else next(iter(allowed))


def _rows(days: Iterable[Any], names: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """What each name used in all of these days, in the order of the chart."""
    groups = [{**sums, "name": name} for names_ in days for name, sums in names_.items()]
    folded = usage.Usage(groups, {}).by("name")
    rank = {name: n for n, name in enumerate(names)}
    rows = [(key["name"], usage.shown(sums)) for key, sums in folded]
    return sorted(rows, key=lambda row: rank.get(row[0], len(rank)))


def _labels(by: str, ids: Iterable[str]) -> dict[str, str]:
    """What people call them."""
    wanted = sorted(set(ids))
    if by == "agent":
        return {agent["_id"]: agent["name"] for agent in agents.of_ids(db(), workspace_id(), wanted)}
    if by == "key":
        return {key["_id"]: key["name"] or key["hint"] for key in keys.of_ids(db(), workspace_id(), wanted)}
    return {}


def _file(body: Any, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, headers=headers, content_type="text/csv; charset=utf-8")
