"""Files up and down: `python -m bench.drive [large|chaos] [disk|bucket]`.

`large`: one of 2 GB: its speed against a plain copy with hashing, each process's peak memory, and what
another workspace's chats notice. `chaos`: 200 uploads while web and workers are killed.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from bench.choices import chosen
from core.drive.local import LocalStorage
from core.drive.s3 import S3Storage
from tests.drive_run import Run
from tests.seaweed import BUCKET, SeaweedFS
from tests.stack import Stack

MIB = 1024 * 1024
LARGE = 2 * 1024 * MIB
PIECE = MIB
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


def large(kind: str = "disk") -> None:
    """2 GB up and down, once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source"
        subprocess.run(f"head -c {LARGE} /dev/urandom > {source}", shell=True, check=True)  # noqa: S602
        plain = timed(lambda: copied(source, folder / "copy"))
        (folder / "copy").unlink()
        with running(kind, folder, DRIVE_MAX_FILE_SIZE=str(2 * LARGE)) as (stack, _):
            chats = chatting(stack)
            quiet = chats(lambda: time.sleep(20))
            before = {name: peak(stack, *words) for name, words in WATCHED.items()}
            took: dict[str, float] = {}
            busy = chats(lambda: up_and_down(stack, source, folder / "back", took))
            after = {name: peak(stack, *words) for name, words in WATCHED.items()}
        print(f"{kind}: plain copy with hashing {LARGE / plain / 1e6:.0f} MB/s")
        for what, seconds in took.items():
            print(f"  {what}: {LARGE / seconds / 1e6:.0f} MB/s, {plain / seconds:.2f} of a plain copy")
        for name in WATCHED:
            print(f"  peak memory of {name}: {before[name]} MB before, {after[name]} MB after")
        print(f"  chat of another workspace, 95 %: {quiet:.0f} ms before, {busy:.0f} ms meanwhile")


def up_and_down(stack: Stack, source: Path, back: Path, took: dict[str, float]) -> None:
    key = f"Authorization: {stack.http.headers['Authorization']}"
    curl = ["curl", "-sS", "-f", "-H", key]
    answer = back.with_name("answer")
    upload = [*curl, "-H", "Prefer: wait=120", "-F", f"file=@{source}", f"{stack.url}/drive/upload"]
    took["upload"] = timed(lambda: subprocess.run([*upload, "-o", str(answer)], check=True))
    (record,) = stack.http.get(f"{stack.url}/drive/files", timeout=10).json()["items"]
    download = [*curl, f"{stack.url}/drive/download/{record['id']}", "-o", str(back)]
    took["download"] = timed(lambda: subprocess.run(download, check=True))
    assert sha256(back) == record["sha256"]


def chatting(stack: Stack) -> Callable[[Callable[[], None]], float]:
    """Gives: the 95th percentile, in ms, of the chats that another workspace has while something is done."""
    stack.http.post(f"{stack.url}/workspaces", json={"name": "Other", "id": "other"}, timeout=10)
    headers = {"X-Workspace": "other"}
    made = stack.http.post(
        f"{stack.url}/agents",
        json={"name": "talker", "llm_config": {"provider": "sandbox"}},
        headers=headers,
        timeout=10,
    )
    agent = made.json()["id"]

    def meanwhile(act: Callable[[], None]) -> float:
        working = threading.Thread(target=act)
        working.start()
        figures = []
        while working.is_alive():
            began = time.perf_counter()
            answer = stack.chat(agent, "hello", **headers, Prefer="wait=30")
            assert answer.json()["status"] == "succeeded", answer.text
            figures.append((time.perf_counter() - began) * 1000)
            time.sleep(0.05)
        working.join()
        return statistics.quantiles(figures, n=20)[-1]

    return meanwhile


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


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    chosen(__doc__, {"large": large, "chaos": chaos}, sys.argv[1:])
