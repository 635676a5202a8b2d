"""The calls that a job records: the id of each in the ledger, and whether it belongs there. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from core.jobs.document import Job
from core.llm.records import Call


def calls_of(job: Job) -> Iterator[tuple[str, Call, bool]]:
    """Every call that a job knows of: its id, the call with its claim, and whether it is kept.

    Kept are the calls of claims that owned the job to their end: they count in sums, allowances and budgets.
    """
    calls: list[Call] = job.get("calls", [])
    for call in calls:
        mine: Call = {"attempt": job["attempt"], **call}
        yield row_id(job, mine), mine, True
    for lost in job.get("unkept", ()):
        unkept: list[Call] = lost["calls"]
        for call in unkept:
            theirs: Call = {**call, "attempt": lost["attempt"]}
            yield row_id(job, theirs), theirs, False


def row_id(job: Job, call: Call) -> str:
    """`job:attempt:call`."""
    return f"{job['_id']}:{call['attempt']}:{call['n']}"


def tokens(call: Call) -> int:
    """How many tokens it used, as far as anybody knows."""
    usage = call.get("usage")
    return 0 if usage is None else usage["tokens_total"]


def consumed(call: Call) -> bool:
    """Did this call use tokens, as far as anybody knows?"""
    return tokens(call) > 0
