"""Alerts: a workspace hears of 80, 100 and 120 % of an allowance, signed, each once a month."""

from __future__ import annotations

from datetime import timedelta

from standardwebhooks import Webhook

from core import signing
from core.callbacks import Courier
from core.clock import utcnow
from core.crypto import Sealer
from core.metering import allowances
from tests.core.metering.rows import at, managed, put

SEALER = Sealer(b"k" * 32)
LIMIT = {"economy": 1000}


class Receiver:
    """Verifies what it gets with the reference library, and keeps it."""

    def __init__(self, db):
        self.db = db
        self.events = []

    def __call__(self, url, headers, body):
        event = Webhook(signing.secret(self.db, SEALER, "w1")).verify(body, headers)
        self.events.append((url, headers["webhook-id"], event))
        return 200

    def percents(self):
        return [event["data"]["threshold_percent"] for *_, event in self.events]


def use(db, *tokens, now=None):
    """Some calls; then all ticks, twice, as after a crash."""
    for n in tokens:
        put(db, [managed(now or utcnow(), (n, 0))])
        for _ in range(2):
            allowances.tick(db, LIMIT, now)


def deliver(db, receiver):
    courier = Courier(db, SEALER, receiver)
    for delivery in db.deliveries.find({"state": "due"}).sort("created_at"):
        courier.deliver(delivery)
    courier.close()


def test_a_month_that_is_over_alarms_nobody(db):
    """A call that is entered late, or a correction, is no news to act on."""
    db.workspaces.insert_one({"_id": "w1", "alert_url": "https://example.com/alerts"})
    put(db, [managed(at("2026-10-20 10:00"), (5000, 0))])
    allowances.tick(db, LIMIT, at("2026-11-02 10:00"))
    assert db.deliveries.count_documents({}) == 0


def test_each_threshold_is_told_once_and_signed(db):
    db.workspaces.insert_one({"_id": "w1", "alert_url": "https://example.com/alerts"})
    receiver = Receiver(db)
    for tokens, told in (
        (799, []),
        (1, [80]),
        (199, [80]),
        (1, [80, 100]),
        (200, [80, 100, 120]),
        (500, [80, 100, 120]),
    ):
        use(db, tokens)
        deliver(db, receiver)
        assert receiver.percents() == told
    ids = [name for _, name, _ in receiver.events]
    assert len(set(ids)) == 3
    url, _, event = receiver.events[1]
    assert (url, event["type"]) == ("https://example.com/alerts", "allowance.threshold")
    assert event["data"]["agent_id"] == "a1"
    assert (event["data"]["tokens_used"], event["data"]["tokens_allowed"]) == (1000, 1000)


def test_the_next_month_begins_anew(db):
    db.workspaces.insert_one({"_id": "w1", "alert_url": "https://example.com/alerts"})
    receiver = Receiver(db)
    use(db, 1000)
    use(db, 1000, now=utcnow() + timedelta(days=32))
    deliver(db, receiver)
    assert sorted(receiver.percents()) == [80, 80, 100, 100]


def test_a_workspace_without_an_address_is_told_nothing(db):
    db.workspaces.insert_one({"_id": "w1", "alert_url": None})
    use(db, 1500)
    assert db.deliveries.count_documents({}) == 0
