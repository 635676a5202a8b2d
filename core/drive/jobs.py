"""The drive's kinds of job: what carries each out, and where."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pymongo.database import Database

from core.drive import accept, finish, remove, storages, verify
from core.drive.storage import Storage
from core.drive.sweep import sweeper
from core.jobs.run import Handler, Run
from core.services import Services

Document = dict[str, Any]

CARRIED_OUT: dict[str, Callable[[Run, Storage], Document]] = {
    accept.KIND: finish.upload,
    remove.KIND: remove.delete,
    verify.KIND: verify.verify,
}


def handlers(services: Services) -> dict[str, Handler]:
    """What a drive worker does for each kind; beside it, it keeps the staging area swept."""
    storage = storages.make(services.settings, services.run)
    sweeping = sweeper(services.db, storage, staging_s=services.settings.drive_staging_s)
    services.cleanups.append(sweeping.close)
    sweeping.start()
    return {kind: partial(_with, storage, carry_out) for kind, carry_out in CARRIED_OUT.items()}


def place(db: Database[Document], job: Document) -> None:
    """Nobody but the host that has the bytes: its jobs wait for it."""


def _with(storage: Storage, carry_out: Callable[[Run, Storage], Document], run: Run) -> Document:
    return carry_out(run, storage)
