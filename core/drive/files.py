"""Files as records: what they are called, whose they are, who may see them, and where their bytes are.

`arriving` (its bytes are staged), `stored`, `deleting` (its bytes go); each step is a compare-and-set. Only
what is stored is shown. A record is there before its bytes have their place, and goes after them: what a
storage holds without one belongs to nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pymongo.database import Database

from core.clock import rfc3339, utcnow
from core.drive import keys, quota
from core.drive.receive import Received
from core.errors import NotFound
from core.store import pages

Document = dict[str, Any]

ARRIVING, STORED, DELETING = "arriving", "stored", "deleting"
PRIVATE, WORKSPACE = "private", "workspace"
ANY_AGENT = "*"
LAST = "\U0010ffff"
"""Behind every text that begins with the same: prefixes are asked for as ranges, which an index knows."""


@dataclass(frozen=True)
class Place:
    """Whose files these are, and where they are kept. `host`: whose drive worker sees to them."""

    workspace_id: str
    agent_id: str | None
    visibility: str
    installation: str
    storage: str
    host: str


def born(
    received: Received, *, file_id: str, upload_id: str, path: str, place: Place, created_by: str
) -> Document:
    """The record of a file whose bytes are staged."""
    now = utcnow()
    owner = place.agent_id or f"_{place.workspace_id}"
    return {
        "_id": file_id,
        **asdict(place),
        "readers": _readers(place.agent_id, place.visibility),
        "name": received.name,
        "path": path,
        "media_type": None,
        "size": received.size,
        "sha256": received.sha256,
        "state": ARRIVING,
        "upload_id": upload_id,
        "staged": received.staged,
        "said": received.said,
        "key": keys.final(place.installation, owner, now, file_id),
        "created_at": now,
        "updated_at": now,
        "created_by": created_by,
    }


def get(
    db: Database[Document], workspace_id: str, file_id: str, *, agents: Collection[str] | None = None
) -> Document:
    """Raises `NotFound`, also for a file that `agents` may not see. `agents`: the only ones asked for."""
    record = db.drive_files.find_one({"_id": file_id})
    if record is None or record["workspace_id"] != workspace_id or record["state"] != STORED:
        raise NotFound("no such file")
    if agents is not None and not {*agents, ANY_AGENT} & {*record["readers"]}:
        raise NotFound("no such file")
    return record


def own(
    db: Database[Document], workspace_id: str, file_id: str, *, agents: Collection[str] | None = None
) -> Document:
    """A file that may be changed: what `agents` only see is not theirs. Raises `NotFound`."""
    record = get(db, workspace_id, file_id, agents=agents)
    if agents is not None and record["agent_id"] not in agents:
        raise NotFound("no such file")
    return record


def page(
    db: Database[Document],
    workspace_id: str,
    *,
    limit: int,
    cursor: str | None,
    agents: Collection[str] | None = None,
    agent_id: str | None = None,
    prefix: str | None = None,
    media_type: str | None = None,
    min_size: int | None = None,
    max_size: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[list[Document], str | None]:
    """Files, newest first. `media_type`: `image/png`, or `image/*`. `prefix`: of their paths."""
    wanted: Document = {"workspace_id": workspace_id, "state": STORED}
    if agents is not None:
        wanted["readers"] = {"$in": [*agents, ANY_AGENT]}
    if agent_id is not None:
        wanted["agent_id"] = agent_id
    if prefix:
        wanted["path"] = {"$gte": prefix, "$lte": prefix + LAST}
    if media_type is not None:
        kind = media_type.removesuffix("*")
        wanted["media_type"] = media_type if kind == media_type else {"$gte": kind, "$lte": kind + LAST}
    sizes = {"$gte": min_size, "$lte": max_size}
    if given := {name: size for name, size in sizes.items() if size is not None}:
        wanted["size"] = given
    return pages.page(db.drive_files, wanted, limit=limit, cursor=cursor, since=since, until=until)


def change(db: Database[Document], record: Document, changes: Mapping[str, Any]) -> Document:
    """Set some of `name`, `path`, `visibility`. Raises `NotFound` when it was deleted meanwhile."""
    new = dict(changes)
    if "visibility" in new:
        new["readers"] = _readers(record["agent_id"], new["visibility"])
    if new:
        still = {"_id": record["_id"], "state": STORED}
        db.drive_files.update_one(still, {"$set": {**new, "updated_at": utcnow()}})
    return get(db, record["workspace_id"], record["_id"])


def store(db: Database[Document], record: Document, media_type: str) -> bool:
    """Its bytes have their place. False: it was given up, or deleted."""
    arrived = {"_id": record["_id"], "state": ARRIVING}
    stored = {"$set": {"state": STORED, "media_type": media_type, "updated_at": utcnow()}}
    return db.drive_files.update_one(arrived, stored).matched_count == 1


def mark(db: Database[Document], record: Document, state: str) -> bool:
    """From this state to `deleting`: from here on it is not shown and not counted. False: no longer in it."""
    left = db.drive_files.update_one(
        {"_id": record["_id"], "state": state}, {"$set": {"state": DELETING, "updated_at": utcnow()}}
    )
    quota.changed(db, record["workspace_id"])
    return left.matched_count == 1


def public(record: Document) -> Document:
    """A file as the API shows it."""
    shown = ("workspace_id", "agent_id", "visibility", "name", "path", "media_type", "size", "sha256")
    base = "/api/v1/drive"
    return {
        "id": record["_id"],
        **{name: record[name] for name in shown},
        "created_at": rfc3339(record["created_at"]),
        "updated_at": rfc3339(record["updated_at"]),
        "links": {"self": f"{base}/files/{record['_id']}", "download": f"{base}/download/{record['_id']}"},
    }


def _readers(agent_id: str | None, visibility: str) -> list[str]:
    """Whose agents' keys see it; a key of the whole workspace sees all. One field, which one index holds."""
    return [*([agent_id] if agent_id else []), *([ANY_AGENT] if visibility == WORKSPACE else [])]
