"""`drive verify`: has every file its bytes, every object its record? Jobs look, and tell their progress."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from core.cli.command import Command, Document, Say, no_options
from core.config import Settings
from core.drive import verify
from core.errors import Conflict
from core.jobs.model import DONE, SUCCEEDED

LOOKED_S = 1.0
LISTED = ("missing", "differ", "orphans")


def verify_all(db: Database[Document], _: Settings, given: argparse.Namespace, say: Say) -> int:
    """1 when something differs. Raises `Conflict` when no drive worker lives."""
    jobs = verify.begin(db, _later, by="command line")
    if not jobs:
        raise Conflict("no drive worker lives: start one (python -m workers.main drive)")
    results = [_followed(db, job["_id"], job["request"]["host"], say) for job in jobs]
    for job in jobs:
        _show(verify.findings(db, job["request"]["host"]) or {}, job["request"]["host"], say)
    fine = all(result and not result["missing"] and not result["differ"] for result in results)
    return 0 if fine else 1


def _later(job: Mapping[str, Any]) -> None:
    """No message is sent from here: the scheduler sends it within ten seconds."""


def _followed(db: Database[Document], job_id: str, host: str, say: Say) -> Document | None:
    """The job's result; None when it did not succeed."""
    said = None
    while (job := db.jobs.find_one({"_id": job_id})) is not None and job["status"] not in DONE:
        now = _progress(job.get("progress"))
        if now != said:
            say(f"{host}: {now}")
            said = now
        time.sleep(LOOKED_S)
    if job is None or job["status"] != SUCCEEDED:
        say(f"{host}: {job['status'] if job else 'gone'}: {(job or {}).get('error')}")
        return None
    say(f"{host}: " + ", ".join(f"{name} {count}" for name, count in job["result"].items()))
    found: Document = job["result"]
    return found


def _progress(progress: Any) -> str:
    if not progress:
        return "waits for its worker"
    return f"{100 * progress['done'] // max(1, progress['total'])} % of {progress['total'] / 1e9:.2f} GB"


def _show(found: Document, host: str, say: Say) -> None:
    for name in LISTED:
        for one in found.get(name, ()):
            say(f"{host}: {name.removesuffix('s')} {one}")


COMMANDS = (
    Command(
        "drive verify",
        "read every file of the drive and compare; orphans older than a day are removed",
        verify_all,
        no_options,
        ("drive verify",),
    ),
)
