"""Usage: what was used, what it cost, what is above the allowance, and whether all of it is accounted for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.agents import agents
from core.clock import utcnow
from core.llm import managed, tiers
from core.metering import audit, export, reports, statement, statements
from core.metering.periods import Period, period
from core.store.pages import DEFAULT_LIMIT, MOST
from web.access import access
from web.answers import answer
from web.context import db, prices, services, workspace_id
from web.resource import AgentPath, resource
from web.shapes.base import page
from web.shapes.statements import Audit, Statement, StatementHead
from web.shapes.usage import AgentUsage, Overage, Tiers, UsageSummary
from web.specification.headers import said
from web.specification.says import shows

api = resource("usage", "Usage: every token counted once")


class DaysQuery(BaseModel):
    """`day`: today; `week`: the last seven days; `month`: this month; `from` to `to`: inclusive. In UTC."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    period: Literal["day", "week", "month"] = "month"
    first: date | None = Field(default=None, alias="from", description="the first date, as 2026-11-01")
    last: date | None = Field(default=None, alias="to", description="the last date; today, if not given")

    def chosen(self) -> Period:
        """The days that are asked for."""
        return period(utcnow(), name=self.period, first=self.first, last=self.last)


class PeriodQuery(DaysQuery):
    """The same, in any time zone."""

    tz: str = Field(default="UTC", max_length=64, description="a time zone of the IANA table")

    def chosen(self) -> Period:
        """The days that are asked for."""
        return period(utcnow(), name=self.period, first=self.first, last=self.last, zone_name=self.tz)


class ExportQuery(PeriodQuery):
    format: Literal["csv", "jsonl"] = "csv"


TEXT: Any = {"schema": {"type": "string"}}
EXPORT: Any = {
    "200": {
        "description": "The ledger's rows",
        "headers": said("Content-Disposition"),
        "content": {"text/csv": TEXT, "application/jsonl": TEXT},
    }
}
STATEMENT: Any = shows(Statement, "The statement", headers=("Content-Disposition",))
STATEMENT["200"]["content"] |= {"text/csv": TEXT}
Month = Annotated[str, StringConstraints(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]


class OverageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    month: Month | None = None
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MOST)
    cursor: str | None = Field(default=None, max_length=400)


class StatementPath(BaseModel):
    month: Month


class StatementQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    format: Literal["json", "csv"] = "json"
    revision: int | None = Field(default=None, ge=1, description="the last one, if not given")


@api.get("/agents/<agent_id>/usage", responses=shows(AgentUsage, "Totals, by model and by date"))
@access(agent=True)
def agent_usage(path: AgentPath, query: PeriodQuery) -> Response:
    """What an agent used, and what is left of its tier's allowance."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    monthly = tiers.table().monthly_tokens()
    return answer(reports.agent(db(), agent, query.chosen(), monthly, utcnow(), prices()))


@api.get("/usage/summary", responses=shows(UsageSummary, "Totals, by agent, model, provider, tier, date"))
def usage_summary(query: PeriodQuery) -> Response:
    """What the workspace used."""
    return answer(reports.summary(db(), workspace_id(), query.chosen()))


@api.get("/usage/tiers", responses=shows(Tiers, "Each tier, and this month's use of it"))
def usage_tiers() -> Response:
    """The tiers, and this workspace's use of each."""
    settings = services().settings
    shown = {
        name: {**tier.model_dump(), "available": managed.available(name, settings)}
        for name, tier in tiers.table().tiers.items()
    }
    return answer(reports.tiers(db(), workspace_id(), shown, utcnow()))


@api.get("/usage/overage", responses=shows(Overage, "By agent and tier, and a page of calls"))
def usage_overage(query: OverageQuery) -> Response:
    """What went above the allowances in a month: one row a call, with its cost."""
    month = query.month or f"{utcnow():%Y-%m}"
    return answer(reports.overage(db(), workspace_id(), month, limit=query.limit, cursor=query.cursor))


@api.get("/usage/audit", responses=shows(Audit, "Two numbers that must be equal"))
def usage_audit(query: PeriodQuery) -> Response:
    """Provider calls that used tokens against the rows of the ledger, and what else may have been charged."""
    retained_since = utcnow() - timedelta(days=services().settings.job_retention_days)
    return answer(audit.audit(db(), workspace_id(), query.chosen(), retained_since=retained_since))


@api.get("/usage/export", responses=EXPORT)
def usage_export(query: ExportQuery) -> Response:
    """The ledger's rows of a period, streamed: those that were not kept and corrections too."""
    chosen = query.chosen()
    write, content_type = export.FORMATS[query.format]
    dates = chosen.dates()
    name = f"usage-{workspace_id()}-{dates[0]}-{dates[-1]}.{query.format}"
    body = write(export.rows(db(), workspace_id(), chosen))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, headers=headers, content_type=content_type)


@api.get("/usage/statements", responses=shows(page(StatementHead), "All of them, the latest first"))
def usage_statements() -> Response:
    """The statements that were issued: one a month, and a revision for whatever came in late."""
    return answer({"items": statements.listed(db(), workspace_id()), "next_cursor": None})


@api.get("/usage/statements/<month>", responses=STATEMENT)
def usage_statement(path: StatementPath, query: StatementQuery) -> Response:
    """A month's statement: tiers, overage, total. Before the month's close: what it comes to so far."""
    found = statements.get(
        db(), workspace_id(), path.month, tiers.table().prices_usd(), revision=query.revision
    )
    if query.format == "json":
        return answer(found)
    name = f"statement-{workspace_id()}-{path.month}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    body = b"".join(statement.comma_separated(found))
    return Response(body, headers=headers, content_type="text/csv; charset=utf-8")
