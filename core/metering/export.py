"""Export: the ledger's rows of a period as CSV or JSON lines, a day at a time, in constant memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from pymongo.database import Database

from core.clock import rfc3339
from core.metering import sums
from core.metering.periods import DAY, Period

Document = dict[str, Any]

COLUMNS = (
    "id",
    "timestamp",
    "workspace_id",
    "agent_id",
    "key_id",
    "job_id",
    "attempt",
    "request_type",
    "provider",
    "model",
    "tier",
    "key_kind",
    "outcome",
    "kept",
    "tokens_input",
    "tokens_output",
    "tokens_total",
    "tokens_cached",
    "tokens_cache_write",
    "tokens_reasoning",
    "usage_status",
    "cost",
    "cost_status",
    "price_model",
    "price_source",
    "price_version",
    "latency_ms",
    "corrects",
    "first_token_ms",
    "output_tokens_per_second",
)
BATCH = 500
RISKY = ("=", "+", "-", "@", "\t", "\r")


def rows(db: Database[Document], workspace_id: str, during: Period) -> Iterator[Document]:
    """The rows of a period in the order of their time, those that were not kept and corrections too."""
    day, last = during.start.date(), during.end.date()
    while day <= last:
        wanted = {"workspace_id": workspace_id, "date": str(day)}
        found = db.token_usage.find(wanted, {"usage_raw": 0}).sort([("timestamp", 1), ("_id", 1)])
        with found.batch_size(BATCH) as cursor:
            for row in cursor:
                if during.start <= row["timestamp"] < during.end:
                    yield _flat(row)
        day += DAY


def jsonl(found: Iterable[Document]) -> Iterator[bytes]:
    """One JSON object a line; `cost` as text, with all its decimals."""
    for row in found:
        yield json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def comma_separated(found: Iterable[Document]) -> Iterator[bytes]:
    """CSV as of RFC 4180, with a header line."""
    yield line(COLUMNS)
    for row in found:
        yield line([row[name] for name in COLUMNS])


def line(cells: Iterable[Any]) -> bytes:
    """One line of CSV."""
    text = io.StringIO()
    csv.writer(text).writerow([_cell(value) for value in cells])
    return text.getvalue().encode()


FORMATS = {"csv": (comma_separated, "text/csv; charset=utf-8"), "jsonl": (jsonl, "application/jsonl")}


def _flat(row: Document) -> Document:
    flat = {
        **row,
        "id": row["_id"],
        "timestamp": rfc3339(row["timestamp"]),
        "cost": None if row["cost"] is None else sums.plain(row["cost"]),
        **{f"price_{name}": value for name, value in row["price"].items()},
    }
    return {name: flat.get(name) for name in COLUMNS}


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is quoted (OWASP: CSV injection)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(RISKY) and not _is_number(value):
        return "'" + value
    return value


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()
