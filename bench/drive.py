"""Files up and down: `python -m bench.drive [large|chaos] [disk|bucket]`.

`large`: one of 2 GB: its speed against a plain copy with hashing, and in a bucket that of boto3's own
`upload_file`; each process's peak memory, and what another workspace's chats notice. `chaos`: 200 uploads
while web and workers are killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.choices import chosen
from core.drive.local import LocalStorage
from core.drive.s3 import S3Storage
from tests.drive_run import Run
from tests.seaweed import BUCKET, SeaweedFS
from tests.stack import Stack

MIB = 1024 * 1024
LARGE = 2 * 1024 * MIB
PIECE = MIB
ROUNDS = 3
QUIET_S = 5
HASH = "import hashlib, sys; print(hashlib.file_digest(sys.stdin.buffer, 'sha256').hexdigest())"
WATCHED = {"web": ("web.main", "gunicorn"), "drive": ("workers.main", "drive")}


@contextmanager
def running(kind: str, folder: Path, **environment: str):
    """(stack, its storage) on a disk or in a bucket."""
    if kind == "disk":
        stack, storage, end = Stack(folder / "data", **environment), LocalStorage(folder / "data/drive"), int
    else:
        server = SeaweedFS(folder / "bucket")
        server.start()
        kept_in = {"DRIVE_STORAGE": "s3", "DRIVE_S3_BUCKET": BUCKET, "DRIVE_S3_ENDPOINT": server.url}
        stack = Stack(folder / "data", **environment, **kept_in, **server.environment)
        storage, end = S3Storage(server.client(), BUCKET), server.end
    stack.start()
    try:
        yield stack, storage
    finally:
        stack.stop()
        end()


def chaos(kind: str = "disk", n: int = 200) -> None:
    """200 uploads of 1 to 40 MB from 16 clients, web or workers killed every 5 s or so."""
    with tempfile.TemporaryDirectory() as folder:
        quick = {"LEASE_S": "6", "BEAT_S": "1", "DRIVE_STAGING_S": "20"}
        with running(kind, Path(folder), **quick) as (stack, storage):
            run = Run(stack, storage, n=n, sizes=(MIB, 40 * MIB), clients=16)
            print(kind, run.go(kill_every_s=5))


def large(kind: str) -> None:
    """2 GB up and down, in turn with plain copies and with nothing: all alike meet what else goes on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source"
        subprocess.run(f"head -c {LARGE} /dev/urandom > {source}; sync", shell=True, check=True)  # noqa: S602
        with running(kind, folder, DRIVE_MAX_FILE_SIZE=str(2 * LARGE)) as (stack, storage):
            chats = Chats(stack)
            before = {name: peak(stack, *words) for name, words in WATCHED.items()}
            for _ in range(ROUNDS):
                one_round(stack, storage, source, chats)
            after = {name: peak(stack, *words) for name, words in WATCHED.items()}
        plain = statistics.median(chats.took["copy"])
        print(f"{kind}: plain copy with hashing {LARGE / plain / 1e6:.0f} MB/s")
        for what in [what for what in chats.took if what not in ("quiet", "copy")]:
            seconds = statistics.median(chats.took[what])
            print(f"  {what}: {LARGE / seconds / 1e6:.0f} MB/s, {plain / seconds:.2f} of a plain copy")
        for name in WATCHED:
            print(f"  peak memory of {name}: {before[name]} MB before, {after[name]} MB after")
        for what, figures in chats.figures.items():
            p50, p95 = statistics.median(figures), statistics.quantiles(figures, n=20)[-1]
            print(
                f"  chat of another workspace, {what}: {p50:.0f} ms, 95 %: {p95:.0f} ms, {len(figures)} chats"
            )


def one_round(stack: Stack, storage: LocalStorage | S3Storage, source: Path, chats: Chats) -> None:
    chats.while_("quiet", lambda: time.sleep(QUIET_S))
    chats.while_("copy", lambda: copied(source, source.with_name("copy")))
    source.with_name("copy").unlink()
    chats.while_("quiet", lambda: time.sleep(QUIET_S))
    answer = source.with_name("answer")
    chats.while_("upload", lambda: uploaded(stack, source, answer))
    record = json.loads(answer.read_text())["result"]
    chats.while_("quiet", lambda: time.sleep(QUIET_S))
    chats.while_("download", lambda: downloaded(stack, record))
    stack.http.delete(f"{stack.url}/drive/files/{record['id']}", timeout=10).raise_for_status()
    if isinstance(storage, S3Storage):
        chats.while_("quiet", lambda: time.sleep(QUIET_S))
        chats.while_("upload_file", lambda: storage.client.upload_file(str(source), BUCKET, "plain"))
        storage.client.delete_object(Bucket=BUCKET, Key="plain")


def uploaded(stack: Stack, source: Path, answer: Path) -> None:
    said = ["-H", "Prefer: wait=120", "-F", f"file=@{source}", "-o", str(answer)]
    subprocess.run([*curl(stack), *said, f"{stack.url}/drive/upload"], check=True)


def downloaded(stack: Stack, record: dict[str, Any]) -> None:
    """Hashed where it arrives, as a plain copy is (`sha256sum` may take four times as long), and giving way.
    It is on no disk: that of a client is another."""
    address = f"{stack.url}/drive/download/{record['id']}"
    with subprocess.Popen([*curl(stack), address], stdout=subprocess.PIPE) as client:
        hashed = subprocess.run(
            ["nice", "-n", "10", sys.executable, "-c", HASH],
            stdin=client.stdout,
            capture_output=True,
            check=True,
        )
    assert hashed.stdout.decode().strip() == record["sha256"]


def curl(stack: Stack) -> list[str]:
    """It gives way to others: elsewhere it would have a machine of its own."""
    key = f"Authorization: {stack.http.headers['Authorization']}"
    return ["nice", "-n", "10", "curl", "-sS", "-f", "-H", key]


class Chats:
    """Chats of another workspace while something is done; `figures` in ms, and how long that `took`."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.headers = {"X-Workspace": "other"}
        self.figures: dict[str, list[float]] = defaultdict(list)
        self.took: dict[str, list[float]] = defaultdict(list)
        stack.http.post(f"{stack.url}/workspaces", json={"name": "Other", "id": "other"}, timeout=10)
        agent = {"name": "talker", "llm_config": {"provider": "sandbox"}}
        made = stack.http.post(f"{stack.url}/agents", json=agent, headers=self.headers, timeout=10)
        self.agent = made.json()["id"]

    def while_(self, what: str, act: Callable[[], None]) -> None:
        working = threading.Thread(target=lambda: self.took[what].append(timed(act)))
        working.start()
        while working.is_alive():
            began = time.perf_counter()
            answer = self.stack.chat(self.agent, "hello", **self.headers, Prefer="wait=30")
            assert answer.json()["status"] == "succeeded", answer.text
            self.figures[what].append((time.perf_counter() - began) * 1000)
            time.sleep(0.05)
        working.join()


def peak(stack: Stack, *words: str) -> int:
    """The largest process's peak memory so far, in MB."""
    found = []
    for pid in stack.pids(words[0]):
        status = Path(f"/proc/{pid}/status").read_text()
        if words[1] in Path(f"/proc/{pid}/cmdline").read_text():
            found.append(int(status.split("VmHWM:")[1].split()[0]) // 1024)
    return max(found)


def copied(source: Path, target: Path) -> None:
    """A plain copy, hashed on the way, and on disk at its end."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as write:
        while piece := read.read(PIECE):
            digest.update(piece)
            write.write(piece)
        write.flush()
        os.fsync(write.fileno())


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    chosen(__doc__, {"large": large, "chaos": chaos}, sys.argv[1:])
