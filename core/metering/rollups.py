"""Roll-ups: a day's and a month's usage, computed again from the ledger and set, never incremented.

`usage_daily` and `usage_monthly`: one document for each workspace, agent, provider, model, tier, key kind and
date, with how fast its calls were; `usage_quarters`: an agent's day in quarters of an hour, from which any
time zone's days can be cut, and in parts of three hours, so that a reader needs the quarters only around a
midnight; `usage_keys`: what a key spent on a day. Running it twice, late, or after a crash gives the same
numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pymongo.database import Database

from core.clock import utcnow
from core.metering import marks, speeds, sums
from core.metering.periods import dates_of
from core.store import aside

Document = dict[str, Any]

LOOP = "rollups"
DAYS_A_TICK = 200
EVERYBODY = "*"
QUARTER: Document = {
    "$add": [
        {"$multiply": [{"$hour": "$timestamp"}, 4]},
        {"$floor": {"$divide": [{"$minute": "$timestamp"}, 15]}},
    ]
}
"""Every time zone's offset since 1972 (Liberia's was the last) is a multiple of 15 minutes (IANA tz)."""
QUARTERS_A_PART = 12
PARTS = 8


def tick(db: Database[Document], now: datetime | None = None, *, limit: int = DAYS_A_TICK) -> Document:
    """Compute what is marked and over: days before today, months before this one; what was done, by name."""
    today = f"{now or utcnow():%Y-%m-%d}"
    opened = {"open": True, **aside.waiting(db, LOOP)}
    over = [mark for mark in db.usage_days.find(opened) if str(mark.get("date", "")) < today]
    days = aside.each(db, LOOP, over[:limit], lambda mark: day(db, mark))
    months = [mark for mark in db.usage_months.find(opened) if str(mark.get("month", "")) < today[:7]]
    closed = aside.each(db, LOOP, months, lambda mark: month(db, mark))
    return {"days": len(days), "months": sum(closed)}


def day(db: Database[Document], mark: Mapping[str, Any]) -> bool:
    """Compute a workspace's day from the ledger and set it; False: rows came in meanwhile, so once more."""
    workspace, date, rev = mark["workspace_id"], mark["date"], mark["rev"]
    found = list(db.token_usage.aggregate(_by_quarter(workspace, date)))
    of_day = {"workspace_id": workspace, "date": date}
    measured = [{**sums_["_id"], **sums_, "speeds": speeds.counted(sums_)} for sums_ in found]
    groups = sums.fold(measured, _dimensions)
    marks.set_all(db.usage_daily, of_day, _groups(of_day, groups, measured), rev)
    marks.set_all(db.usage_quarters, of_day, _quarters(of_day, found), rev)
    keys = sums.fold(found, lambda sums_: sums_["_id"]["key_id"])
    marks.set_all(db.usage_keys, of_day, [_key(of_day, key, spent) for key, spent in keys.items()], rev)
    whole = sums.fold(groups.values(), lambda _: None).get(None) or sums.nothing()
    return marks.close(db.usage_days, mark, {"totals": sums.stored(whole), "quarters": False})


def month(db: Database[Document], mark: Mapping[str, Any]) -> bool:
    """Compute a workspace's month from its days once all are closed; False: not yet."""
    of_month = {"workspace_id": mark["workspace_id"], "month": mark["month"]}
    if any(day.get("month") == mark["month"] for day in marks.opened(db.usage_days, mark["workspace_id"])):
        return False
    days = {"workspace_id": mark["workspace_id"], "date": {"$in": dates_of(mark["month"])}}
    found = list(db.usage_daily.find(days))
    groups = sums.fold(found, _dimensions)
    marks.set_all(db.usage_monthly, of_month, _groups(of_month, groups, found), mark["rev"])
    return marks.close(db.usage_months, mark, {})


def by_dimensions(
    indexed: Mapping[str, Any], among: Mapping[str, Any] | None = None, **more: Any
) -> list[Document]:
    """The aggregation that sums kept rows by the dimensions, and by `more`, with `speeds.IN_LEDGER`.

    `indexed`: fields of one index and nothing else; `among` narrows what it finds. Two stages, since the
    embedded server reads the whole collection for a filter with one field too many (240 ms, against 1.5).
    """
    keys = {**{name: f"${name}" for name in sums.DIMENSIONS}, **more}
    totals = {name: {"$sum": value} for name, value in sums.IN_LEDGER.items()}
    narrowed = {**(among or {}), "kept": True}
    return [
        {"$match": dict(indexed)},
        {"$match": narrowed},
        {"$group": {"_id": keys, **totals, **speeds.IN_LEDGER}},
    ]


def _by_quarter(workspace: str, date: str) -> list[Document]:
    return by_dimensions({"workspace_id": workspace, "date": date}, key_id="$key_id", quarter=QUARTER)


def _dimensions(found: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(found[name] for name in sums.DIMENSIONS)


def _groups(
    scope: Mapping[str, Any], groups: Mapping[tuple[Any, ...], Document], found: list[Document]
) -> list[Document]:
    """A document for each group; its speeds are those of what it was made of."""
    fast = speeds.fold(found, _dimensions)
    return [
        {**_group(scope, key, group), "speeds": speeds.stored(fast[key])} for key, group in groups.items()
    ]


def _group(scope: Mapping[str, Any], key: tuple[Any, ...], group: Document) -> Document:
    when = scope.get("date") or scope["month"]
    name = ":".join([scope["workspace_id"], when, *(quote(str(part), safe="") for part in key)])
    return {"_id": name, **scope, **dict(zip(sums.DIMENSIONS, key, strict=True)), **sums.stored(group)}


def _quarters(scope: Mapping[str, Any], found: list[Document]) -> list[Document]:
    """An agent's day by quarters, and the whole workspace's."""
    folded = sums.fold(found, lambda sums_: (sums_["_id"]["agent_id"], int(sums_["_id"]["quarter"])))
    by_agent: dict[str, dict[int, Document]] = {}
    for (agent, quarter), group in folded.items():
        by_agent.setdefault(agent, {})[quarter] = group
        whole = by_agent.setdefault(EVERYBODY, {}).setdefault(quarter, sums.nothing())
        sums.add(whole, group)
    return [
        {
            "_id": f"{scope['workspace_id']}:{scope['date']}:{agent}",
            **scope,
            "agent_id": agent,
            "parts": _stored(_parts(quarters)),
            "quarters": _stored(quarters),
        }
        for agent, quarters in by_agent.items()
    ]


def _parts(quarters: Mapping[int, Document]) -> dict[int, Document]:
    parts: dict[int, Document] = {}
    for quarter, group in quarters.items():
        sums.add(parts.setdefault(quarter // QUARTERS_A_PART, sums.nothing()), group)
    return parts


def _stored(numbered: Mapping[int, Document]) -> Document:
    return {str(number): sums.stored(group) for number, group in numbered.items()}


def _key(scope: Mapping[str, Any], key_id: str, spent: Document) -> Document:
    return {
        "_id": f"{scope['workspace_id']}:{scope['date']}:{key_id}",
        **scope,
        "key_id": key_id,
        **sums.stored(spent),
    }
