"""Reads are answered by indexes: what is asked for is found without looking at anything else."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from pymongo import MongoClient, monitoring

from core.agents import agents
from core.clock import utcnow
from core.ids import new_id
from core.metering import allowances, audit, budget, export, reports, rollups, statements, true_up
from core.metering.periods import period
from core.store.indexes import INDEXES
from tests import copied
from tests.core.metering.rows import PRICES, managed, put, reserve, row


class Asked(monitoring.CommandListener):
    """The filters that were sent, and what was to be sorted by what, by collection."""

    def __init__(self) -> None:
        self.filters = []
        self.sorts = []

    def started(self, event):
        command, name = event.command, event.command_name
        if name == "find":
            self.filters.append((command["find"], command["filter"]))
            if "sort" in command:
                self.sorts.append((command["find"], command["sort"]))
        elif name == "aggregate":
            self.filters.append((command["aggregate"], command["pipeline"][0]["$match"]))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def watched(db, settings, asked):
    """The test's database through a client whose reads are written down."""
    client = MongoClient(settings.mongodb_address, tz_aware=True, event_listeners=[asked])
    yield client[db.name]
    client.close()


@pytest.fixture(scope="module")
def made(databases):
    """(when, the documents) of a year of calls, rolled up."""
    db, now = databases.take(), utcnow()
    some = [row, managed]
    put(db, [some[n % 2](now - timedelta(days=n // 2, hours=n % 24), tokens=(300, 200)) for n in range(120)])
    rollups.tick(db)
    db["keys"].insert_one({"_id": "k1", "workspace_id": "w1"})
    documents = copied.documents(db)
    databases.give_back(db)
    return now, documents


@pytest.fixture
def a_year(db, made):
    now, documents = made
    copied.put(db, documents)
    return now


@pytest.mark.parametrize(
    "read",
    [
        lambda db, now: reports.summary(db, "w1", period(now, first=date(now.year - 1, now.month, 1))),
        lambda db, now: reports.summary(
            db, "w1", period(now, first=date(now.year - 1, now.month, 1), zone_name="Asia/Tokyo")
        ),
        lambda db, now: reports.agent(
            db,
            agents.born("w1", "a1", {"name": "a"}),
            period(now, zone_name="Asia/Kathmandu"),
            {},
            now,
            PRICES,
        ),
        lambda db, now: reports.allowance(db, {"_id": "a1", "workspace_id": "w1"}, "economy", 1000, now),
        lambda db, now: reports.tiers(db, "w1", {"economy": {}}, now),
        lambda db, now: reports.overage(db, "w1", f"{now:%Y-%m}", limit=10, cursor=None),
        lambda db, now: list(export.rows(db, "w1", period(now))),
        lambda db, now: audit.audit(db, "w1", period(now), retained_since=now - timedelta(days=3)),
        lambda db, now: reserve(
            db, budget.at("k1", Decimal(1), "month", now, None), new_id(), Decimal("0.01")
        ),
        lambda db, now: true_up.tick(db, now),
        lambda db, now: allowances.tick(db, {"economy": 600}, now),
        lambda db, now: rollups.tick(db, now + timedelta(days=40)),
        lambda db, now: statements.tick(db, {"economy": 5}, now + timedelta(days=40)),
        lambda db, now: statements.get(db, "w1", f"{now:%Y-%m}", {"economy": 5}),
    ],
    ids=[
        "summary",
        "summary in Tokyo",
        "agent in Kathmandu",
        "allowance",
        "tiers",
        "overage",
        "export",
        "audit",
        "budget",
        "true-up",
        "allowances",
        "roll-ups",
        "statements",
        "a statement",
    ],
)
def test_it_reads_by_indexes_only(db, watched, asked, a_year, read):
    read(watched, a_year)
    filters = [(name, wanted) for name, wanted in asked.filters if name in INDEXES and "_id" not in wanted]
    assert filters
    for name, wanted in filters:
        plan = db[name].find(wanted).explain()["queryPlanner"]["winningPlan"]
        assert plan["stage"] != "COLLSCAN", (name, wanted)
