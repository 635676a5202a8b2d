"""Callbacks: a signed Standard Webhooks POST when a job ends, at least once, with a log of every try.

The write that ends a job also marks it (`meter`). `outbox` makes a delivery for each mark. `Courier`
carries deliveries out, by turns of their workspaces, until the receiver takes them or a day has passed.
Format: https://www.standardwebhooks.com (specification 1.0.0, read 2026-11).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo import InsertOne
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core.clock import rfc3339, utcnow
from core.crypto import Sealer
from core.deliveries import Delivery, Try, born, deliveries_of, delivery_id
from core.jobs.document import Job, jobs_of
from core.jobs.model import DONE
from core.jobs.views import public
from core.outbound import names
from core.signing import secrets_of, sign
from core.store import aside
from core.store.repeat import write_missing
from core.turns import Turns

Document = dict[str, Any]
Post = Callable[[str, Mapping[str, str], bytes], int]
"""POSTs a body to a user's URL, through the guard, without following redirects. Returns the HTTP status;
raises `OutboundError` when there was no answer."""

BACK_OFF = [timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 21600, 28800)]
GIVEN_UP_AFTER = timedelta(days=1)
LOOP = "callbacks"
AT_ONCE = 32
AT_ONCE_PER_ORIGIN = 4
SEEN_TWICE = timedelta(seconds=10)
"""What became due so long before the last look is read again: it may have been written since."""
WHOLE_S = 60.0
"""Seconds after which all that is due is read: what a wrong clock left behind, or was above `turns.EACH`."""
TRIES_LOGGED = 20
OUTSIDE = {"workspace_id": 1, "origin": 1, "created_at": 1, "n": 1}
"""What a tick reads of a delivery. Only its own thread reads the content: if that fails, it fails there."""
GONE = 410

log = structlog.get_logger(__name__)


def outbox(db: Database[Document], jobs: Iterable[Job]) -> int:
    """Make a delivery for each finished job that wants a callback. One that exists stays as it is."""
    now = utcnow()
    wanted = [
        born(
            delivery_id(job),
            workspace_id=job["workspace_id"],
            job_id=job["_id"],
            event=f"job.{job['status']}",
            url=job["callback_url"],
            now=now,
        )
        for job in jobs
        if job.get("callback_url") and job["status"] in DONE
    ]
    write_missing(db.deliveries, [InsertOne(dict(delivery)) for delivery in wanted])
    return len(wanted)


class Courier:
    """Delivers what is due, in threads of its own. `tick` does not wait for receivers."""

    def __init__(
        self,
        db: Database[Document],
        sealer: Sealer,
        post: Post,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.db = db
        self.sealer = sealer
        self.post = post
        self.monotonic = monotonic
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="courier")
        self._turns = Turns(AT_ONCE, AT_ONCE_PER_ORIGIN)
        self._lock = threading.Lock()
        self._looked: datetime | None = None
        self._whole_at = float("-inf")

    def tick(self) -> Document:
        """Start what is due, as far as there is a place for it."""
        aside.each(self.db, LOOP, self._read(), self._add)
        with self._lock:
            started = list(iter(self._turns.next, None))
        for delivery in started:
            self._pool.submit(self._deliver_and_log, delivery)
        return {"started": len(started)}

    def _add(self, delivery: Delivery) -> None:
        with self._lock:
            self._turns.add(delivery)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _read(self) -> list[Delivery]:
        """What became due since the last look: what was due before is remembered. Now and then, all."""
        now, at = utcnow(), self.monotonic()
        due: Document = {"$lte": now}
        if self._looked is not None and at - self._whole_at < WHOLE_S:
            due["$gt"] = min(self._looked, now) - SEEN_TWICE
        else:
            self._whole_at = at
            self._bring_back(now)
        found = deliveries_of(self.db).find({"state": "due", "next_at": due}, OUTSIDE).sort("next_at", 1)
        read = list(found)
        self._looked = now
        return read

    def _bring_back(self, now: datetime) -> None:
        """Deliveries that a clock which was ahead would have tried in days."""
        later = {"state": "due", "next_at": {"$gt": now + BACK_OFF[-1]}}
        self.db.deliveries.update_many(later, {"$set": {"next_at": now}})

    def _deliver_and_log(self, outside: Delivery) -> None:
        try:
            delivery = deliveries_of(self.db).find_one({"_id": outside["_id"]})
            if delivery is not None and _is_due(delivery):
                self.deliver(delivery)
        except Exception as problem:  # noqa: BLE001 - an error of ours: it is written down
            self._put_aside(outside, problem)
        finally:
            with self._lock:
                self._turns.over(outside)

    def _put_aside(self, delivery: Delivery, problem: Exception) -> None:
        """Note an error of ours as a try: this delivery waits its back-off, and the others go on."""
        tried: Try = {"at": (now := utcnow()), "error": type(problem).__name__}
        try:
            aside.put(self.db, LOOP, delivery["_id"], problem)
            self._note(delivery, _next(delivery, tried, now), tried)
        except PyMongoError as error:  # the store is away: this delivery stays due
            log.warning("callback.not_noted", delivery=delivery["_id"], error=type(error).__name__)

    def deliver(self, delivery: Delivery) -> None:
        """Try once, and write down how it went."""
        body = self._body(delivery)
        if body is None:
            self._note(delivery, {"state": "failed", "reason": "the job is no longer kept"}, {"at": utcnow()})
            return
        now = utcnow()
        secrets = secrets_of(self.db, self.sealer, delivery["workspace_id"], now)
        headers = sign(secrets, delivery["_id"], now, body) | {"Content-Type": "application/json"}
        tried: Try = {"at": now}
        try:
            with names.asked_for_by(delivery["workspace_id"]):
                tried["status"] = self.post(delivery["url"], headers, body)
        except Exception as error:  # noqa: BLE001 - a receiver may fail in any way; the log of tries names it
            tried["error"] = type(error).__name__
        tried["ms"] = int((utcnow() - now).total_seconds() * 1000)
        self._note(delivery, _next(delivery, tried, now), tried)

    def _body(self, delivery: Delivery) -> bytes | None:
        """The same at each try, as far as the job is: `timestamp` is the event's. None: the job is gone."""
        data: Any = delivery.get("payload")
        at = delivery["created_at"]
        if data is None:
            job = jobs_of(self.db).find_one({"_id": delivery["job_id"]})
            if job is None:
                return None
            data, at = public(job), job["finished_at"] or at
        return json.dumps({"type": delivery["event"], "timestamp": rfc3339(at), "data": data}).encode()

    def _note(self, delivery: Delivery, changes: Document, tried: Try) -> None:
        self.db.deliveries.update_one(
            {"_id": delivery["_id"], "state": "due"},
            {
                "$set": changes,
                "$push": {"tries": {"$each": [tried], "$slice": -TRIES_LOGGED}},
                "$inc": {"n": 1},
            },
        )
        log.info(
            "callback.tried", delivery=delivery["_id"], state=changes["state"], status=tried.get("status")
        )


def _is_due(delivery: Delivery) -> bool:
    """Still? Another scheduler may have led meanwhile."""
    return delivery["state"] == "due" and delivery["next_at"] <= utcnow()


def _next(delivery: Delivery, tried: Try, now: datetime) -> Document:
    status = tried.get("status", 0)
    if 200 <= status < 300:
        return {"state": "delivered", "delivered_at": now}
    if status == GONE:
        return {"state": "failed", "reason": "the receiver said 410 Gone"}
    if now - delivery["created_at"] > GIVEN_UP_AFTER:
        return {"state": "failed", "reason": "not taken within a day"}
    pause = BACK_OFF[min(delivery.get("n", 0), len(BACK_OFF) - 1)]
    return {"state": "due", "next_at": now + pause}
