"""Points: what one minute says, from the jobs that ended in it, and points added up. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128

from core import sketch
from core.history.documents import CallFact, JobFact, Point, ProviderPoint, Tally
from core.jobs.model import CANCELLED, FAILED, SUCCEEDED

COUNTED = ("accepted", "succeeded", "failed", "cancelled")
MOST = 20
"""Kinds of error and agents that a point names: those met most often."""


def of_jobs(at: datetime, jobs: Iterable[JobFact]) -> Point:
    """The part of a point that its jobs say; one that is there twice counts once."""
    facts = list({job["id"]: job for job in jobs}.values())
    ended = Counter(job["status"] for job in facts)
    calls = [call for job in facts for call in job["calls"]]
    failed = [job for job in facts if job["status"] == FAILED]
    return {
        "at": at,
        "succeeded": ended[SUCCEEDED],
        "failed": ended[FAILED],
        "cancelled": ended[CANCELLED],
        "latency": sketch.of(
            job["latency_ms"] for job in facts if job["status"] == SUCCEEDED and job["calls"]
        ),
        "first_token": sketch.of(_known(call["first_token_ms"] for call in calls)),
        "cost": Decimal128(sum((job["cost"].to_decimal() for job in facts), Decimal(0))),
        "reasons": _most(Counter(job["code"] or "unknown" for job in failed)),
        "agents": _most(Counter(job["agent_id"] for job in failed if job["agent_id"])),
        "providers": [_provider(name, of) for name, of in sorted(_by_provider(calls).items())],
    }


def merged(at: datetime, points: Sequence[Point]) -> Point:
    """Points added up. What waited and ran is that of the last that knows it."""
    whole: Any = {"at": at}
    whole |= {name: sum(_number(point, name) for point in points) for name in COUNTED}
    for name in ("queued", "running"):
        known = [point.get(name) for point in points if name in point]
        whole |= {name: known[-1]} if known else {}
    for name in ("latency", "first_token"):
        whole[name] = sketch.merged(_sketch(point, name) for point in points)
    costs = (point["cost"].to_decimal() for point in points if "cost" in point)
    whole["cost"] = Decimal128(sum(costs, Decimal(0)))
    whole["reasons"] = _added(point.get("reasons", []) for point in points)
    whole["agents"] = _added(point.get("agents", []) for point in points)
    whole["providers"] = _providers(points)
    found: Point = whole
    return found


def _number(point: Mapping[str, Any], name: str) -> int:
    return int(point.get(name, 0))


def _sketch(point: Mapping[str, Any], name: str) -> sketch.Sketch:
    found: sketch.Sketch = point.get(name, {})
    return found


def _known(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def _most(counted: Counter[str]) -> list[Tally]:
    return [{"name": name, "n": n} for name, n in counted.most_common(MOST)]


def _added(tallies: Iterable[Iterable[Tally]]) -> list[Tally]:
    counted: Counter[str] = Counter()
    for of_one in tallies:
        for tally in of_one:
            counted[tally["name"]] += tally["n"]
    return _most(counted)


def _by_provider(calls: Iterable[CallFact]) -> dict[str, list[CallFact]]:
    found: dict[str, list[CallFact]] = {}
    for call in calls:
        found.setdefault(call["provider"], []).append(call)
    return found


def _provider(name: str, calls: Sequence[CallFact]) -> ProviderPoint:
    return {
        "name": name,
        "calls": len(calls),
        "failed": sum(not call["ok"] for call in calls),
        "latency": sketch.of(_known(call["latency_ms"] for call in calls if call["ok"])),
        "first_token": sketch.of(_known(call["first_token_ms"] for call in calls)),
    }


def _providers(points: Iterable[Point]) -> list[ProviderPoint]:
    by_name: dict[str, list[ProviderPoint]] = {}
    for point in points:
        for provider in point.get("providers", []):
            by_name.setdefault(provider["name"], []).append(provider)
    return [
        {
            "name": name,
            "calls": sum(one["calls"] for one in of),
            "failed": sum(one["failed"] for one in of),
            "latency": sketch.merged(one["latency"] for one in of),
            "first_token": sketch.merged(one["first_token"] for one in of),
        }
        for name, of in sorted(by_name.items())
    ]
