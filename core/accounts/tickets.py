"""Tickets: for a minute a browser may watch one job, whose EventSource and WebSocket send no key.

A ticket is sealed, stored nowhere, and stands no longer than the key that asked for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo.database import Database

from core.accounts import keys
from core.crypto import CannotOpen, Sealer
from core.errors import Unauthorized
from core.store.remembered import Remembered

Document = dict[str, Any]

KEPT = timedelta(seconds=60)


@dataclass(frozen=True)
class Ticket:
    """Who asked for it: the id of a key, and the workspace in which the job is."""

    key_id: str
    workspace_id: str

    def caller(self, db: Database[Document], now: datetime, known: Remembered | None = None) -> keys.Caller:
        """What that key allows now. Raises `Unauthorized` when it has ended."""
        return keys.caller_of(keys.living(db, self.key_id, now, known))


def make(sealer: Sealer, ticket: Ticket, job_id: str, now: datetime) -> tuple[str, datetime]:
    """Its text, and when it ends."""
    ends = now + KEPT
    said = json.dumps([ticket.key_id, ticket.workspace_id, ends.isoformat()])
    return sealer.seal(said, _context(job_id)), ends


def read(sealer: Sealer, text: str, job_id: str, now: datetime) -> Ticket:
    """Raises `Unauthorized` for a text that is no ticket, or another job's, and for one that has ended."""
    try:
        key_id, workspace_id, ends = json.loads(sealer.open(text, _context(job_id)))
    except CannotOpen:
        raise Unauthorized("this is no ticket for this job") from None
    if now >= datetime.fromisoformat(ends):
        raise Unauthorized("this ticket has expired; ask for another one")
    return Ticket(key_id, workspace_id)


def _context(job_id: str) -> dict[str, str]:
    return {"purpose": "ticket", "job": job_id}
