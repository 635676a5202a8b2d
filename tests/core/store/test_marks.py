"""Marks: the first look at a busy minute of long ago reads little of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core import audit_log
from core.chat import conversations
from core.clock import utcnow
from core.ids import new_id
from core.store.marks import chosen, mark
from tests.conftest import patient
from tests.core.chat.test_conversations import asked, begun
from tests.core.metering.test_reads import Asked

LISTS = {
    "audit_log": (
        {"workspace_id": "w1"},
        lambda db: audit_log.page(db, "w1", limit=50, cursor=None, since=None),
    ),
    "conversations": (
        {"agent_id": "a1"},
        lambda db: conversations.page(db, {"_id": "a1"}, limit=50, cursor=None),
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_the_first_look_at_a_busy_minute_of_long_ago_reads_little_of_it(db, settings, name):
    whose, look = LISTS[name]
    end = utcnow() - timedelta(hours=1)
    ids = [new_id() for _ in range(3000)]
    rows = [
        {"_id": one, "name": one, "created_at": end - timedelta(milliseconds=20 * n), **mark(one), **whose}
        for n, one in enumerate(ids)
    ]
    db[name].insert_many(rows)
    reads = Asked()
    with patient(settings, event_listeners=[reads]) as client:
        items, cursor = look(client[db.name])
    assert [item["_id"] for item in items] == ids[:50]
    assert cursor
    for collection, wanted in reads.filters:
        plan = db[collection].find(wanted).explain()["queryPlanner"]["winningPlan"]
        assert plan.get("inputStage", plan)["stage"] == "IXSCAN", wanted
        assert len(list(db[collection].find(wanted, {"_id": 1}))) < 1500, wanted


def test_entries_of_the_audit_log_are_marked_as_their_ids_say(db):
    trail = audit_log.Trail(db, flush_s=60)
    for _ in range(2000):
        trail.soon(workspace_id="w1", route="chat")
    trail.close()
    marked = {entry["_id"]: entry.get("marked", False) for entry in db.audit_log.find()}
    assert len(marked) == 2000
    assert any(marked.values())
    assert marked == {one: chosen(one) for one in marked}


@pytest.mark.parametrize("conversation_id", ["c-00", "c-ff"])
def test_a_conversation_is_marked_as_its_id_says(db, monkeypatch, conversation_id):
    monkeypatch.setattr(conversations, "new_id", lambda: conversation_id)
    begun(db, asked(db, "hello"))
    assert db.conversations.find_one().get("marked", False) == chosen(conversation_id)
