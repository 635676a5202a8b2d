"""Writes that are safe to repeat: a reply that got lost is not a lost write."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import structlog
from pymongo import InsertOne, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WriteError,
)

from core.store.conditional import Conditional

Document = dict[str, Any]
T = TypeVar("T")
Row = TypeVar("Row", bound=Mapping[str, Any])

OUTAGE = (AutoReconnect, WriteConcernError)
"""The store is away, or a primary took a write that the majority may not have. The write is repeated."""
DUPLICATE = 11000
LONGEST_PAUSE_S = 10.0

log = structlog.get_logger(__name__)


def insert_once(
    collection: Collection[Row], document: Row, insert: Callable[[Row], object] | None = None
) -> None:
    """Insert a document whose `_id` was made here; when the reply is lost, once more.

    `insert`: what stands for `insert_one` of the collection, as that of a `Together`. Raises
    `DuplicateKeyError` for somebody else's document, `PyMongoError` when the store is away.
    """
    insert = insert or collection.insert_one
    try:
        insert(document)
    except ServerSelectionTimeoutError:
        raise  # nothing was sent
    except AutoReconnect:
        try:
            insert(document)
        except DuplicateKeyError:
            if collection.find_one({"_id": document["_id"]}, {"_id": 1}) is None:
                raise


def update_once(
    collection: Collection[Document],
    matching: Mapping[str, Any],
    update: Mapping[str, Any],
    *,
    was_mine: Callable[[Document], bool],
) -> bool:
    """A compare-and-set on one `_id`; True when it took effect, by this call or by one whose reply was lost.

    `was_mine` looks at the document when nothing matched: does it carry what we wrote? The reply that was
    lost may be that of an earlier call of this function. Raises `PyMongoError` when the store is away.
    """
    took_effect = _repeated(lambda: collection.update_one(matching, update).matched_count == 1)
    return took_effect or _did_before(collection, matching["_id"], was_mine)


def update_where(
    collection: Collection[Document],
    name: str,
    where: Mapping[str, Any],
    update: Mapping[str, Any],
    *,
    was_mine: Callable[[Document], bool],
    write: Callable[[str, Conditional], bool] | None = None,
) -> bool:
    """As `update_once`, on the document with this `_id`, for where it has the values that `where` says.

    The condition travels in the update: the embedded server reads its catalog anew for each field of a filter
    but the `_id`, which is 0.7 of the 1.7 ms that the end of a chat costs it (2026-11). `update` must change
    something, and is one of those that `Conditional` knows. `write`: that of a `core.store.together.Updates`.
    """
    change = Conditional(where, update)
    write = write or partial(update_alone, collection)
    took_effect = _repeated(lambda: write(name, change))
    return took_effect or _did_before(collection, name, was_mine)


def update_alone(
    collection: Collection[Any], name: str, change: Conditional, said: Mapping[str, Any] | None = None
) -> bool:
    """Update the document with this `_id`; True when it took effect. `said`: that of the change, encoded."""
    let = {"said": said or change.said}
    return collection.update_one({"_id": name}, change.pipeline(), let=let).modified_count == 1


def _repeated(write: Callable[[], bool]) -> bool:
    try:
        return write()
    except ServerSelectionTimeoutError:
        raise  # nothing was sent
    except AutoReconnect:
        return write()


def _did_before(collection: Collection[Document], name: str, was_mine: Callable[[Document], bool]) -> bool:
    found = collection.find_one({"_id": name})
    return found is not None and was_mine(found)


def write_missing(collection: Collection[Document], writes: Sequence[InsertOne[Document] | UpdateOne]) -> int:
    """Carry out writes of which some may have been carried out before; how many documents were inserted.

    A duplicate is such a one. Raises `BulkWriteError` for anything else, also for what the majority of a
    replica set may not have: a failover could take it back.
    """
    if not writes:
        return 0
    try:
        return collection.bulk_write(writes, ordered=False).inserted_count
    except BulkWriteError as error:
        said = error.details
        others = [failed for failed in said["writeErrors"] if failed["code"] != DUPLICATE]
        if others or said["writeConcernErrors"]:
            raise
        return int(said["nInserted"])


def away(error: PyMongoError) -> bool:
    """Is this an outage?"""
    return isinstance(error, OUTAGE)


def unwell(error: PyMongoError) -> bool:
    """Is this an outage, or a refusal that has nothing to do with what was asked? A disk is full, a quota is
    used up, a password is being changed."""
    refused = isinstance(error, OperationFailure) and not isinstance(error, WriteError | BulkWriteError)
    return refused or away(error)


def through_outages(
    write: Callable[[], T],
    *,
    what: str,
    give_up: Callable[[], bool],
    passes: Callable[[PyMongoError], bool] = unwell,
    pause_s: float = 0.5,
) -> T:
    """Call `write` until the store takes it. Raises the last error once `give_up()` says so.

    `passes`: may this error be over soon? Any other is raised at once. A store that refuses is asked ever
    more seldom: it answers at once, and many ask it.
    """
    failures = 0
    while True:
        try:
            return write()
        except PyMongoError as error:
            failures += 1
            if not passes(error) or give_up():
                raise
            if failures == 1:
                log.warning("store.away", what=what, error=type(error).__name__)
            time.sleep(pause_s if away(error) else min(pause_s * failures, LONGEST_PAUSE_S))


def once_it_answers(act: Callable[[], T], *, seconds: float = 60.0) -> T:
    """What `act` returns, once a store that is still starting takes it. Raises the last error of `OUTAGE`."""
    deadline = time.monotonic() + seconds
    return through_outages(act, what="start", give_up=lambda: time.monotonic() > deadline, passes=away)
