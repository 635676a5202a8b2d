"""What a drive worker's jobs have in common: they wait for a store or a storage that is away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import structlog

from core.drive.storage import Storage
from core.errors import JobFailed, StorageAway, StorageFull
from core.jobs.run import Run
from core.store.repeat import through_outages

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


def patiently(run: Run, act: Callable[[], T]) -> T:
    """Do what needs the storage, again and again while that is away or full, until the run is stopped."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            return act()
        except (StorageAway, StorageFull) as problem:
            log.warning("drive.storage_away", job_id=run.job["_id"], problem=problem.code)
            if run.told_to_stop.wait(pause):
                raise
            pause = min(pause * 2, LONGEST_PAUSE_S)


def held(run: Run, act: Callable[[], T]) -> T:
    """Do what needs the store, through its outages, until the run is stopped."""
    return through_outages(act, what="drive", give_up=run.told_to_stop.is_set)


def unless_stopped(run: Run, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces; raises `JobFailed` once the run is stopped."""
    for piece in pieces:
        if run.told_to_stop.is_set():
            raise JobFailed("it was stopped", code="stopped")
        yield piece


def same_storage(record: dict[str, object], storage: Storage) -> None:
    """Raises `StorageAway` for a file that is kept elsewhere: DRIVE_STORAGE was changed since."""
    if record["storage"] != storage.kind:
        raise StorageAway(f"this file is kept in another storage ({record['storage']})")
