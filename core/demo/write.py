"""Writing the demo: the workspace is emptied, then all of it is written anew, as of now."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from pymongo.collection import Collection
from pymongo.database import Database

from core.accounts import keys, workspaces
from core.agents import agent_config, agents, credentials
from core.clock import utcnow
from core.config import Settings
from core.crypto import Sealer
from core.deliveries import born, delivery_id
from core.demo import past
from core.demo.day import Day
from core.demo.people import COLLEAGUES, CREDENTIALS, FILES, KEYS, NAME, WORKSPACE
from core.documents import Agent, Key, LlmConfig, workspaces_of
from core.drive import files, installation, quota
from core.drive.files import Place
from core.drive.keys import staged
from core.drive.receive import Received
from core.drive.storage import Storage
from core.history import batches, points, rollups
from core.history.documents import JobFact
from core.ids import new_id
from core.jobs.document import Job
from core.llm import tiers
from core.metering import allowances, ledger, marks, recent, statements
from core.metering import rollups as usage
from core.metering.prices import Prices
from core.metering.row import LedgerRow

Document = dict[str, Any]

JOBS = 4000
SEED = 20261124
AT_ONCE = 200
"""Documents: who works at the same store has a turn between them."""
HALF_FILLED = f"{NAME} (half filled: run `make demo` again)"
CALLBACKS = 60
HOOKS = "https://hooks.example.com"
EMPTIED = """
agents audit_log conversation_turns conversations credentials deliveries drive_files history_batches
history_hours history_minutes jobs keys managed_overage runtimes statements token_usage usage_allowances
usage_daily usage_days usage_keys usage_monthly usage_months usage_quarters usage_recent
"""


def everything(
    db: Database[Document],
    settings: Settings,
    storage: Storage,
    say: Callable[[str], object] = lambda _: None,
    now: datetime | None = None,
    n: int = JOBS,
) -> Document:
    """Write the demo, of `n` jobs; how much was written, by name. Whatever was in its workspace is gone.

    `say` hears what comes next. Until all of it is there the workspace's name says that it is not.
    """
    now, chance = now or utcnow(), random.Random(SEED)  # noqa: S311
    say(f"emptying the workspace {WORKSPACE}; if this breaks off, run it again")
    _empty(db, storage)
    known = _people(db, settings)
    day = Day(*known, Prices(), chance)
    jobs = [*day.ended(now, n)]
    say(f"writing {len(jobs)} jobs")
    _called_back(db, jobs, chance)
    _insert(db.jobs, jobs)
    rows = [*past.rows(day, now), *(row for job in jobs for row in ledger.rows_of(job, day.prices))]
    say(f"adding up {len(rows)} calls")
    _account(db, rows, now)
    say("drawing the charts, and storing files")
    _charts(db, day, jobs, rows, now)
    _drive(db, storage, known[0])
    _call_it(db, NAME)
    return {"jobs": len(jobs), "agents": len(known[0]), "ledger rows": len(rows), "files": len(FILES)}


def _empty(db: Database[Document], storage: Storage) -> None:
    if workspaces_of(db).find_one({"_id": WORKSPACE}) is None:
        workspaces.make(db, HALF_FILLED, WORKSPACE)
    _call_it(db, HALF_FILLED)
    for record in db.drive_files.find({"workspace_id": WORKSPACE}):
        storage.delete(record["key"])
    for name in EMPTIED.split():
        ids = [found["_id"] for found in db[name].find({"workspace_id": WORKSPACE}, {"_id": 1})]
        for some in _pieces(ids):
            db[name].delete_many({"_id": {"$in": list(some)}})
    db.drive_usage.delete_one({"_id": WORKSPACE})


def _call_it(db: Database[Document], name: str) -> None:
    db.workspaces.update_one({"_id": WORKSPACE}, {"$set": {"name": name}})


def _people(db: Database[Document], settings: Settings) -> tuple[dict[str, Agent], dict[str, Key]]:
    sealer = Sealer.from_settings(settings)
    for name, provider, key in CREDENTIALS:
        given = {"provider": provider, "api_key": key}
        credentials.put(db, WORKSPACE, name, given, sealer=sealer, settings=settings)
    made = {}
    for one in COLLEAGUES:
        config = cast(LlmConfig, {**agent_config.EMPTY, **one.config})
        given = {"name": one.name, "description": one.description}
        made[one.name] = agents.create(db, WORKSPACE, given, lambda *_, config=config: config)
    handed_out = {
        name: keys.make(
            db, role=cast(Any, role), workspace_id=WORKSPACE, name=name, limits=limits, created_by="demo"
        )[0]
        for name, role, limits in KEYS
    }
    return made, handed_out


def _called_back(db: Database[Document], jobs: Sequence[Job], chance: random.Random) -> None:
    """Some of the last jobs told somebody that they had ended; one receiver is away."""
    told = []
    for job in chance.sample(jobs[-600:], CALLBACKS):
        away = chance.random() < 0.15
        job["callback_url"] = f"{HOOKS}/{'crm' if away else 'orders'}"
        at = job["finished_at"] or job["created_at"]
        delivery = born(
            delivery_id(job),
            workspace_id=WORKSPACE,
            job_id=job["_id"],
            event=f"job.{job['status']}",
            url=job["callback_url"],
            now=at,
        )
        if away:
            tries: Any = [{"at": at + timedelta(seconds=s), "status": 503, "ms": 210} for s in (1, 6, 36)]
            told.append(
                {**delivery, "state": "failed", "reason": "the receiver said 503", "tries": tries, "n": 3}
            )
        else:
            tries = [{"at": at, "status": 200, "ms": chance.randrange(40, 300)}]
            told.append({**delivery, "state": "delivered", "delivered_at": at, "tries": tries, "n": 1})
    _insert(db.deliveries, told)


def _account(db: Database[Document], rows: Sequence[LedgerRow], now: datetime) -> None:
    for some in _pieces(rows):
        ledger.insert(db, some)
    marks.raise_for(db, rows)
    usage.tick(db, now)
    recent.tick(db, now)
    allowances.tick(db, tiers.table().monthly_tokens(), now)
    statements.tick(db, tiers.table().prices_usd(), now)


def _charts(
    db: Database[Document], day: Day, jobs: Sequence[Job], rows: Iterable[LedgerRow], now: datetime
) -> None:
    costs = {row["job_id"]: row["cost"].to_decimal() for row in rows if row["cost"] is not None}
    facts: defaultdict[datetime, list[JobFact]] = defaultdict(list)
    accepted: Counter[datetime] = Counter()
    for job in jobs:
        ended = job["finished_at"] or now
        fact = batches.fact(job, ended, costs.get(job["_id"], Decimal(0)))
        facts[ended.replace(second=0, microsecond=0)].append(fact)
        accepted[job["created_at"].replace(second=0, microsecond=0)] += 1
    minutes = {
        (WORKSPACE, at): {
            **points.of_jobs(at, facts.get(at, [])),
            "accepted": accepted[at],
            "queued": int(day.chance.expovariate(0.8)),
            "running": len(facts.get(at, [])) // 2,
        }
        for at in {*facts, *accepted}
    }
    rollups.write(db.history_minutes, "workspace_id", minutes, rollups.MINUTES_KEPT)
    rollups.write(db.history_hours, "workspace_id", past.hours(day, now), rollups.HOURS_KEPT)
    over = now.replace(minute=0, second=0, microsecond=0)
    for ago in range(0, 26, 2):
        rollups.hours(db, over - timedelta(hours=ago))


def _drive(db: Database[Document], storage: Storage, known: dict[str, Agent]) -> None:
    mine = installation.name(db)
    for n, (name, folder, kind, data) in enumerate(FILES):
        upload = new_id()
        key = staged(mine, upload, 0)
        staging = storage.stage(key)
        staging.write(data)
        staging.keep()
        received = Received(name, len(data), hashlib.sha256(data).hexdigest(), key)
        agent = list(known.values())[n % len(known)]["_id"] if n % 2 else None
        place = Place(WORKSPACE, agent, files.WORKSPACE, mine, storage.kind, "demo")
        record = files.born(
            received,
            file_id=new_id(),
            upload_id=upload,
            path=f"{folder}{name}",
            place=place,
            created_by="demo",
        )
        db.drive_files.insert_one(record)
        storage.move(key, record["key"], kind)
        files.store(db, record, kind)
    quota.recompute(db, WORKSPACE)


def _insert(collection: Collection[Document], documents: Sequence[Any]) -> None:
    for some in _pieces(documents):
        collection.insert_many(list(some), ordered=False)


def _pieces(of: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (of[n : n + AT_ONCE] for n in range(0, len(of), AT_ONCE))
