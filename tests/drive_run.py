"""Uploads while processes are killed: what was answered is there, nothing else is, and the sum is right."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.stack import Stack
from tests.waiting import LONG_S

VICTIMS = (("web.main",), ("workers.main", "drive"))


class Run:
    """`n` uploads of `sizes` (least, most) bytes by so many clients. `storage` looks into the stack's own."""

    def __init__(self, stack: Stack, storage: Any, *, n: int, sizes: tuple[int, int], clients: int) -> None:
        self.stack = stack
        self.storage = storage
        self.n = n
        self.sizes = sizes
        self.clients = clients
        self.kills = 0
        self.unanswered = 0
        self._over = threading.Event()

    def go(self, kill_every_s: float, more: Any = None) -> dict[str, Any]:
        """Upload all of them while processes are killed, then look at what is left; figures.

        `more(n)`: what else goes wrong at the n-th kill.
        """
        killer = threading.Thread(target=self._kill_until_over, args=(kill_every_s, more))
        killer.start()
        began = time.monotonic()
        try:
            with ThreadPoolExecutor(self.clients) as pool:
                answered = list(pool.map(self._upload, range(self.n)))
        finally:
            self._over.set()
            killer.join()
        took = time.monotonic() - began
        records = self._stored(answered)
        self._downloads(records)
        self._nothing_else()
        figures = {"uploads": self.n, "kills": self.kills, "unanswered": self.unanswered}
        return {**figures, "seconds": round(took), "bytes": sum(size for _, size, _ in answered)}

    def _upload(self, i: int) -> tuple[str, int, str]:
        """(sha256, size, job's id) of an upload that was answered; one that was not is tried again."""
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
                    return hashlib.sha256(data).hexdigest(), size, answer.json()["id"]
                assert answer.status_code in (409, 502, 503), answer.text
            self.unanswered += 1
            assert time.monotonic() < deadline, f"upload {i} was never answered\n{self.stack.said()}"
            time.sleep(0.5)

    def _kill_until_over(self, every_s: float, more: Any) -> None:
        for words in itertools.cycle(VICTIMS):
            if self._over.wait(random.uniform(0.5, 1.5) * every_s):
                return
            while self._one_more_loss_is_the_last():
                if self._over.wait(0.2):
                    return
            self.stack.kill(*words)
            self.kills += 1
            if more is not None:
                more(self.kills)
            while not self.stack.ready():  # or nothing would ever be answered
                if self._over.wait(0.2):
                    return

    def _one_more_loss_is_the_last(self) -> bool:
        """Has an upload lost two workers already? A third ends it, as it should (on a slow machine, soon)."""
        waiting = {"status": {"$in": ["queued", "running"]}}
        with self.stack.database() as db:
            return any(len(job.get("lost", [])) > 1 for job in db.jobs.find(waiting))

    def _stored(self, answered: list[tuple[str, int, str]]) -> list[tuple[str, str]]:
        """(sha256, file's id) of each, once all jobs have ended."""
        with self.stack.database() as db:
            waiting = {"status": {"$in": ["queued", "running"]}, "kind": "drive_upload"}
            self.stack.until(lambda: db.jobs.count_documents(waiting) == 0, "all end")
            jobs = [(sha256, db.jobs.find_one({"_id": job_id})) for sha256, _, job_id in answered]
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
