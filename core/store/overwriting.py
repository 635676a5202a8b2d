"""Overwriting: what was erased also leaves the files of the embedded stores, which would keep it for long.

Valkey keeps a log of its writes until it is rewritten. The MongoDB-compatible server keeps one until 10 MB
have been written to it, another for those who follow its changes, and what stood in freed blocks until they
are used again. So it is given something to write. (valkey 9.1, secantusdb 0.7.0b3, both tried 2026-11.)
"""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import redis
from pymongo.database import Database

from core.clock import utcnow

Document = dict[str, Any]

NOTE = "erased"
PAUSE = timedelta(minutes=4)
TIMES = 2
"""The second time finds what the first could not: a log of changes is kept for `OPLOG_S` of its writing."""
BATCHES, IN_A_BATCH, BYTES = 15, 20, 40_000
"""12 MB in all: more than a file of the write-ahead log holds, in documents as large as those of chats."""
FILES = 16


def note(db: Database[Document]) -> None:
    """Something was erased."""
    left = {"redis": True, "store": TIMES}
    db.scheduler.update_one({"_id": NOTE}, {"$set": left}, upsert=True)


def tick(db: Database[Document], client: redis.Redis, *, redis_embedded: bool, embedded: bool) -> Document:
    """Clear the files of the stores that are embedded, if something was erased; which of them, by name."""
    noted = db.scheduler.find_one({"_id": NOTE}) or {}
    rewritten = redis_embedded and noted.get("redis", False)
    if rewritten:
        db.scheduler.update_one({"_id": NOTE}, {"$set": {"redis": False}})
        _rewrite(db, client)
    due = noted.get("store", 0) > 0 and utcnow() - noted.get("at", utcnow() - PAUSE) >= PAUSE
    if embedded and due:
        _overwrite(db)
        left = {"store": noted["store"] - 1, "at": utcnow()}
        db.scheduler.update_one({"_id": NOTE, "store": noted["store"]}, {"$set": left})
    return {"redis_rewritten": int(rewritten), "store_overwritten": int(embedded and due)}


def _rewrite(db: Database[Document], client: redis.Redis) -> None:
    try:
        client.bgrewriteaof()
    except redis.RedisError:  # away, or just at it: with what was erased meanwhile, or without
        note(db)
        raise


def _overwrite(db: Database[Document]) -> None:
    filler = db[beside(db.name, "jobs")]
    filler.drop()  # what one left that was ended in the midst
    _forget_changes(db)
    for n in range(BATCHES):
        filler.insert_many([{"_id": n * IN_A_BATCH + i, "fill": "-" * BYTES} for i in range(IN_A_BATCH)])
    db.client.admin.command("fsync")  # a checkpoint, after which the log of before is removed
    filler.drop()
    _forget_changes(db)


def _forget_changes(db: Database[Document]) -> None:
    db.client.admin.command("secantusAdmin.pruneOplog")
    db.client.admin.command("fsync")


def beside(database: str, collection: str) -> str:
    """The name of a collection that the embedded store keeps in the same file as this one."""
    file = _file(database, collection)
    return next(name for n in count() if _file(database, name := f"filler{n}") == file)


def _file(database: str, collection: str) -> int:
    """As `_doc_shard_hash` of secantusdb 0.7.0b3 has it: FNV-1a of 64 bits."""
    digest = 0xCBF29CE484222325
    for byte in f"{database}\0{collection}".encode():
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return digest % FILES
