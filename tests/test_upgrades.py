"""Upgrades by real processes: killed in the midst, several at once, and one too old for its database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from core.store import indexes, migrations
from tests.stack import ROOT, free_ports
from tests.waiting import LONG_S

LATER = len(migrations.STEPS) + 1
PROCESSES = {
    "web": [
        "-m",
        "gunicorn",
        "--worker-class",
        "web.worker.Worker",
        "--no-control-socket",
        "web.main:build()",
    ],
    "worker": ["-m", "workers.main", "chat"],
    "scheduler": ["scheduler.py"],
    "make run": ["-m", "core.embedded"],
}


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_refuses_a_later_database_in_one_line(name, db, settings, tmp_path):
    db.migrations.insert_one({"_id": LATER})
    port = free_ports()
    ended = subprocess.run(
        [sys.executable, *PROCESSES[name], *(["--bind", f"127.0.0.1:{port}"] if name == "web" else [])],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PORT": str(port),
            "DATA_DIR": str(tmp_path),
            "MONGODB_URI": settings.mongodb_uri,
            "MONGODB_DATABASE": db.name,
            "REDIS_URL": settings.redis_url,
            "WORKER_GRACE_S": "1",
        },
        capture_output=True,
        text=True,
        timeout=LONG_S,
    )
    lines = [line for line in ended.stderr.splitlines() if line.startswith("vutler: ")]
    assert lines == [
        f"vutler: the database {db.name} is of version {LATER}, and this program knows {LATER - 1}:"
        " start the program that wrote it, or a later one"
    ]
    assert ended.returncode != 0
    assert "Traceback" not in ended.stdout + ended.stderr
    assert [db[name].count_documents({}) for name in ("keys", "processes", "scheduler")] == [0, 0, 0]


BATCH, JOBS = 100, 250
UPGRADE = """
import os, signal, sys
from pymongo.monitoring import CommandListener
from core.config import Settings
from core.services import connect_mongo
from core.store import indexes, migrations
from core.store.migrations import each

class Killed(CommandListener):
    left = int(sys.argv[1])
    def started(self, event): pass
    def failed(self, event): pass
    def succeeded(self, event):
        if event.command_name == "update":
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

each.BATCH, settings = int(sys.argv[2]), Settings()
client = connect_mongo(settings, patience_s=60, event_listeners=[Killed()])
migrations.prepare(client[settings.mongodb_database])
"""
"""Killed by the answer to its nth batch, by none when that is 0."""


@pytest.fixture
def upgrade(db, settings, tmp_path):
    """Starts a process that upgrades the database, until so many batches; all are ended with the test."""
    started = []

    def start(batches=0):
        environment = {
            "PATH": os.environ["PATH"],
            "MONGODB_URI": settings.mongodb_uri,
            "MONGODB_DATABASE": db.name,
        }
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", UPGRADE, str(batches), str(BATCH)],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_an_upgrade_that_is_killed_goes_on_by_whoever_comes_next(db, upgrade):
    db.jobs.drop_indexes()
    db.jobs.insert_many([{"_id": f"j{n}", "workspace_id": "w1", "token": f"t{n}"} for n in range(JOBS)])

    def left():
        older = ({"idempotency": {"$exists": False}}, {"token": {"$exists": True}})
        return sum(db.jobs.count_documents(shape) for shape in older)

    for expected in (2 * JOBS - 2 * BATCH, JOBS - BATCH):
        assert upgrade(batches=2).wait(LONG_S) == -signal.SIGKILL
        assert left() == expected
    assert migrations.reached(db) < len(migrations.STEPS)

    assert [process.wait(LONG_S) for process in [upgrade() for _ in range(3)]] == [0, 0, 0]
    assert left() == 0
    assert migrations.reached(db) == len(migrations.STEPS)
    assert {job["_id"][1:] for job in db.jobs.find()} == {job["fence"][1:] for job in db.jobs.find()}
    wanted = {index.document["name"] for index in indexes.INDEXES["jobs"]}
    assert {index["name"] for index in db.jobs.list_indexes()} == wanted | {"_id_"}
