"""A database of a later version: every process says so in one line, and ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from core.store import migrations
from tests.stack import ROOT, free_ports

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
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line for line in ended.stderr.splitlines() if line.startswith("vutler: ")]
    assert lines == [
        f"vutler: the database {db.name} is of version {LATER}, and this program knows {LATER - 1}:"
        " start the program that wrote it, or a later one"
    ]
    assert ended.returncode != 0
    assert "Traceback" not in ended.stdout + ended.stderr
    assert [db[name].count_documents({}) for name in ("keys", "processes", "scheduler")] == [0, 0, 0]
