"""The quota of a workspace: bytes of the files that it has, exact however many uploads arrive at once.

One document a workspace carries the sum. An upload adds its bytes before its records are there, in one
compare-and-set that also notes the upload as open; with its records the note goes. Bytes that are free again
are never subtracted: the sum is marked stale, and computed anew from the records before it refuses anybody.
So a writer that is repeated, late or dead counts nothing twice.
"""

from __future__ import annotations

from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.drive import arrivals
from core.errors import Conflict, TooLarge
from core.store import aside
from core.store.repeat import insert_once, update_once

Document = dict[str, Any]

COUNTED = ["arriving", "stored"]
"""The states of records whose bytes are the workspace's."""
TRIES = 20


def charge(
    db: Database[Document], workspace_id: str, upload_id: str, size: int, *, quota: int | None
) -> None:
    """Add an upload's bytes, if they fit. Raises `TooLarge`. Until `settle` or `give_up` it is open."""
    for _ in range(TRIES):
        usage = _of(db, workspace_id)
        fits: Document = {} if quota is None else {"bytes": {"$lte": quota - size}}
        if update_once(
            db.drive_usage,
            {"_id": workspace_id, f"open.{upload_id}": {"$exists": False}, **fits},
            {"$inc": {"bytes": size, "revision": 1}, "$set": {f"open.{upload_id}": size}},
            was_mine=lambda found: upload_id in found["open"],
        ):
            return
        if not usage["stale"]:
            raise over()
        recompute(db, workspace_id)
    raise Conflict("too many files of this workspace come and go at once; try again")


def room(db: Database[Document], workspace_id: str, quota: int | None) -> int | None:
    """Bytes that are left now; None: no quota. What arrives meanwhile may take them."""
    return None if quota is None else max(0, quota - used(db, workspace_id))


def used(db: Database[Document], workspace_id: str) -> int:
    """Bytes of all files of a workspace."""
    usage = _of(db, workspace_id)
    if usage["stale"]:
        recompute(db, workspace_id)
        usage = _of(db, workspace_id)
    return int(usage["bytes"])


def settle(db: Database[Document], workspace_id: str, upload_id: str) -> None:
    """The upload's records are there: they carry its bytes from here on. Safe to repeat."""
    noted = {"_id": workspace_id, f"open.{upload_id}": {"$exists": True}}
    forget = {"$unset": {f"open.{upload_id}": ""}, "$inc": {"revision": 1}}
    if not db.drive_usage.update_one(noted, forget).matched_count:
        changed(db, workspace_id)  # it was taken for dead, and its bytes for nobody's


def give_up(db: Database[Document], workspace_id: str, upload_id: str) -> None:
    """An upload that was charged gets no records."""
    forget = {"$unset": {f"open.{upload_id}": ""}, "$set": {"stale": True}, "$inc": {"revision": 1}}
    db.drive_usage.update_one({"_id": workspace_id}, forget)


def changed(db: Database[Document], workspace_id: str) -> None:
    """Some records count no longer. To be called after that; safe to repeat."""
    stale = {"$set": {"stale": True}, "$inc": {"revision": 1}}
    db.drive_usage.update_one({"_id": workspace_id}, stale)


def recompute(db: Database[Document], workspace_id: str) -> bool:
    """Compute the sum anew; False: something changed meanwhile, so it is still stale."""
    usage = _of(db, workspace_id)
    kept = _of_records(db, workspace_id, but=[*usage["open"]])
    total = {"bytes": kept + sum(usage["open"].values()), "stale": False}
    unchanged = {"_id": workspace_id, "revision": usage["revision"]}
    update = {"$set": total, "$inc": {"revision": 1}}
    return db.drive_usage.update_one(unchanged, update).matched_count == 1


def tick(db: Database[Document]) -> Document:
    """Compute what is stale, and close what a dead process left open; what was done, by name."""
    opened = list(db.drive_usage.find({"open": {"$ne": {}}}))
    closed = aside.each(db, "drive", opened, lambda usage: _close(db, usage))
    stale = list(db.drive_usage.find({"stale": True}, {"_id": 1}))
    computed = aside.each(db, "drive", stale, lambda usage: recompute(db, usage["_id"]))
    return {"closed": sum(closed), "computed": sum(computed)}


def _close(db: Database[Document], usage: Document) -> int:
    dead = [upload_id for upload_id in usage["open"] if not arrivals.living(db, upload_id)]
    for upload_id in dead:
        given = db.drive_files.find_one({"upload_id": upload_id}, {"_id": 1}) is None
        (give_up if given else settle)(db, usage["_id"], upload_id)
    return len(dead)


def over() -> TooLarge:
    return TooLarge("this workspace's quota leaves no room for it", code="quota_exceeded")


def _of(db: Database[Document], workspace_id: str) -> Document:
    """A workspace's document; made when it is first asked for, and computed then."""
    usage = db.drive_usage.find_one({"_id": workspace_id})
    if usage is not None:
        return usage
    try:
        insert_once(
            db.drive_usage, {"_id": workspace_id, "bytes": 0, "open": {}, "stale": True, "revision": 0}
        )
    except DuplicateKeyError:
        return _of(db, workspace_id)
    return _of(db, workspace_id)


def _of_records(db: Database[Document], workspace_id: str, but: list[str]) -> int:
    """Bytes of the records of a workspace, but of these uploads."""
    counted = {"workspace_id": workspace_id, "state": {"$in": COUNTED}, "upload_id": {"$nin": but}}
    summed = {"$group": {"_id": None, "bytes": {"$sum": "$size"}}}
    return sum(row["bytes"] for row in db.drive_files.aggregate([{"$match": counted}, summed]))
