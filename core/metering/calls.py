"""Calls as jobs keep them: the id that each has in the ledger, and whether it belongs there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Document = dict[str, Any]


def calls_of(job: Mapping[str, Any]) -> Iterator[tuple[str, Document, bool]]:
    """Every call that a job knows of: its id, the call with its claim, and whether it was kept."""
    for call in job.get("calls", ()):
        mine = {"attempt": job["attempt"], **call}
        yield row_id(job, mine), mine, True
    for lost in job.get("unkept", ()):
        for call in lost["calls"]:
            theirs = {**call, "attempt": lost["attempt"]}
            yield row_id(job, theirs), theirs, False


def row_id(job: Mapping[str, Any], call: Mapping[str, Any]) -> str:
    """`job:claim:call`."""
    return f"{job['_id']}:{call['attempt']}:{call['n']}"


def consumed(call: Mapping[str, Any]) -> bool:
    """Did this call use tokens, as far as anybody knows?"""
    usage = call.get("usage")
    return usage is not None and usage["tokens_total"] > 0
