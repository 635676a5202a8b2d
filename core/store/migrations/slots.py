"""Takes the times of a tick out of documents of their own: the tick's document says which was done last."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from core.store.migrations.each import change_each

Document = dict[str, Any]


def run(db: Database[Document]) -> None:
    """`done_through` was kept before; a time that was under way is begun again."""
    change_each(
        db.ticks,
        {"done_through": {"$exists": True}, "tries": {"$exists": False}},
        lambda _: {"$set": {"tries": 0}},
    )
    db.drop_collection("slots")
