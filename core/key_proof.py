"""The proof of the encryption key: something sealed in the store, by which another key is known at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.crypto import CannotOpen, Sealer

Document = dict[str, Any]

CONTEXT = {"purpose": "proof"}
NAME = "encryption key"
ANOTHER = (
    "LLM_ENCRYPTION_KEY is another than the one that sealed what the store holds: give that one, or add it to"
    " LLM_ENCRYPTION_KEYS_OLD"
)
SEALED: dict[str, tuple[str, ...]] = {
    "credentials": ("sealed_key",),
    "agents": ("llm_config", "sealed_key"),
    "workspaces": ("webhook_secret",),
}
"""Where a store of an earlier version, which has no proof, may hold something sealed."""
LOOKED_AT = 100


class AnotherKey(Exception):
    """The text says what to do."""


def check(db: Database[Document], sealer: Sealer) -> None:
    """Raises `AnotherKey` when no configured key opens what is sealed here. Makes the proof on first use."""
    proof = db.scheduler.find_one({"_id": NAME})
    if proof is None:
        if any(not sealer.knows(sealed) for sealed in _some(db)):
            raise AnotherKey(ANOTHER)
        proof = _made(db, sealer)
    try:
        sealer.open(proof["sealed"], CONTEXT)
    except CannotOpen:
        raise AnotherKey(ANOTHER) from None


def said(db: Database[Document], sealer: Sealer) -> str:
    """`ok`, or `another key`."""
    try:
        check(db, sealer)
    except AnotherKey:
        return "another key"
    return "ok"


def swap(db: Database[Document], before: str, new: Document) -> bool:
    """Seal it anew, unless others have."""
    return db.scheduler.update_one({"_id": NAME, "sealed": before}, {"$set": new}).matched_count == 1


def _made(db: Database[Document], sealer: Sealer) -> Document:
    made = {"_id": NAME, "sealed": sealer.seal(NAME, CONTEXT)}
    try:
        db.scheduler.insert_one(dict(made))
    except DuplicateKeyError:  # another process was first, perhaps with another key
        return db.scheduler.find_one({"_id": NAME}) or made
    return made


def _some(db: Database[Document]) -> Iterator[str]:
    for collection, path in SEALED.items():
        field = ".".join(path)
        for found in db[collection].find({field: {"$ne": None}}, {field: 1}).limit(LOOKED_AT):
            value: Any = found
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if isinstance(value, str):
                yield value
