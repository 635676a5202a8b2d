"""Uploads while processes are killed: what was answered is there, nothing else is, and the sum is right."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import requests

from tests.stack import Stack
from tests.waiting import LONG_S, until

UNDER_WAY = {"status": {"$in": ["queued", "running"]}, "kind": "drive_upload"}
VICTIMS = (
    (("web.main",), lambda db: set(db.drive_uploads.distinct("_id"))),
    (
        ("workers.main", "drive"),
        lambda db: set(db.jobs.distinct("owner", {**UNDER_WAY, "status": "running"})),
    ),
)
"""Whom to kill in turn, and what is there while it is at work: uploads that arrive, workers with a job."""


class Run:
    """Uploads of `sizes` (least, most) bytes by so many clients, until `kills` processes were killed.

    `storage` looks into the stack's own.
    """

    def __init__(
        self, stack: Stack, storage: Any, *, kills: int, sizes: tuple[int, int], clients: int
    ) -> None:
        self.stack = stack
        self.storage = storage
        self.kills = kills
        self.sizes = sizes
        self.clients = clients
        self._over = threading.Event()

    def go(self, kill_every_s: float, more: Any = None) -> None:
        """Upload while processes are killed, then look at what is left.

        `more(n)`: what else goes wrong at the n-th kill.
        """
        with ThreadPoolExecutor(self.clients) as pool:
            uploading = [pool.submit(self._keep_uploading, first) for first in range(self.clients)]
            try:
                self._kill(kill_every_s, more)
            finally:
                self._over.set()
            answered = [one for each in uploading for one in each.result()]
        records = self._stored(answered)
        self._downloads(records)
        self._nothing_else()

    def _keep_uploading(self, first: int) -> list[tuple[str, str]]:
        """Every `clients`th upload, one after another, until all are killed; what was answered."""
        numbers = itertools.count(first, self.clients)
        answered = [self._upload(next(numbers))]
        while not self._over.is_set():
            answered.append(self._upload(next(numbers)))
        return answered

    def _upload(self, i: int) -> tuple[str, str]:
        """(sha256, job's id) of an upload that was answered; one that was not is tried again."""
        size = random.Random(i).randint(*self.sizes)
        data = random.Random(i).randbytes(size)
        headers = {"Idempotency-Key": f"u{i}"} if i % 2 else {}
        deadline = time.monotonic() + LONG_S
        while True:
            with contextlib.suppress(requests.RequestException):
                answer = requests.post(
                    f"{self.stack.url}/drive/upload",
                    files={"file": (f"{i}.bin", data)},
                    headers={**self.stack.http.headers, **headers},
                    timeout=60,
                )
                if answer.status_code == 202:
                    return hashlib.sha256(data).hexdigest(), answer.json()["id"]
                assert answer.status_code in (409, 502, 503), answer.text
            assert time.monotonic() < deadline, f"upload {i} was never answered\n{self.stack.said()}"
            time.sleep(0.5)

    def _kill(self, every_s: float, more: Any) -> None:
        """Each in the midst of its work."""
        died: set[str] = set()
        with self.stack.database() as db:
            for n, (words, work) in enumerate(itertools.islice(itertools.cycle(VICTIMS), self.kills), 1):
                time.sleep(random.uniform(0.5, 1.5) * every_s)
                self.stack.until(lambda: not _one_more_loss_is_the_last(db), "a loss is not the last")
                until(partial(_has_others, db, work, died), f"{words} is at work", said=self.stack.said)
                assert self.stack.kill(*words)
                died |= work(db)
                if more is not None:
                    more(n)
                self.stack.until(self.stack.ready, "web is back, or nothing would ever be answered")

    def _stored(self, answered: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """(sha256, file's id) of each, once all jobs have ended."""
        with self.stack.database() as db:
            self.stack.until(lambda: db.jobs.count_documents(UNDER_WAY) == 0, "all end")
            jobs = [(sha256, db.jobs.find_one({"_id": job_id})) for sha256, job_id in answered]
        assert {job["status"] for _, job in jobs} == {"succeeded"}, [job["error"] for _, job in jobs]
        return [(sha256, job["result"]["id"]) for sha256, job in jobs]

    def _downloads(self, records: list[tuple[str, str]]) -> None:
        self.stack.until(self.stack.ready, "web is back")
        for sha256, file_id in records:
            got = self.stack.http.get(f"{self.stack.url}/drive/download/{file_id}")
            assert hashlib.sha256(got.content).hexdigest() == sha256

    def _nothing_else(self) -> None:
        """No staging file, no record on its way, no object without one; the quota counts what is there."""
        self.stack.until(lambda: not list(self.storage.list("staging")), "the staging area is swept")
        with self.stack.database() as db:
            self.stack.until(
                lambda: db.drive_files.count_documents({"state": {"$ne": "stored"}}) == 0,
                "mended",
            )
            records = {record["key"]: record["size"] for record in db.drive_files.find()}
            assert {found.key: found.size for found in self.storage.list("files")} == records
        usage = f"{self.stack.url}/drive/usage"
        self.stack.until(
            lambda: self.stack.http.get(usage).json()["bytes"] == sum(records.values()),
            "what died between a charge and its records is free again",
        )


def _has_others(db: Any, work: Any, died: set[str]) -> bool:
    """Is there work that is not of those that were killed?"""
    return bool(work(db) - died)


def _one_more_loss_is_the_last(db: Any) -> bool:
    """Has an upload lost two workers already? A third ends it, as it should (on a slow machine, soon)."""
    return any(len(job.get("lost", [])) > 1 for job in db.jobs.find(UNDER_WAY))
