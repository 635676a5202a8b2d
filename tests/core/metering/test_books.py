"""The books: whatever crashes, comes twice, late or not at all, all of them say what the ledger says."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from bson.decimal128 import Decimal128
from hypothesis import HealthCheck, given, settings, strategies

from core.accounts.keys import Caller
from core.clock import utcnow
from core.errors import BudgetExceeded
from core.ids import new_id
from core.jobs.accept import accept
from core.jobs.claim import claim, finish, note_unkept
from core.jobs.model import CANCELLED, FAILED, SUCCEEDED, queued_again
from core.metering import allowances, audit, budgets, ledger, recent, rollups, true_up, usage
from core.metering.budget import of_key
from core.metering.periods import period
from core.metering.sums import exact
from tests.core.metering.rows import PRICES, call, enter, reserve
from tests.crashing import Crash
from tests.factory import Sent, draft

OURS = {"provider": "openai", "model": "gpt-4o-mini", "key_kind": "managed", "tier": "standard"}
CALLER = Caller("k1", "member", "w1", budget_usd=Decimal128("0.002"), budget_period="month")
ESTIMATE = Decimal("0.0002")
COLLECTIONS = (
    "jobs",
    "token_usage",
    "usage_days",
    "usage_months",
    "usage_daily",
    "usage_monthly",
    "usage_quarters",
    "usage_keys",
    "usage_recent",
    "usage_allowances",
    "managed_overage",
    "budgets",
)


def crash(db, jobs):
    raise Crash


class World:
    """One agent on a tier, one key with a budget; each method is something that may happen next."""

    def __init__(self, db, limit):
        self.db = db
        self.limits = {"standard": limit}
        self.running = []

    def ask(self, pick, tokens):
        job_id = new_id()
        budget = of_key(CALLER, utcnow())
        try:
            hold = reserve(self.db, budget, job_id, ESTIMATE)
        except BudgetExceeded:
            return
        if tokens % 5:  # otherwise the web process died here: no job will come
            accept(self.db, Sent(), draft(holds={budget.month: hold}), job_id=job_id)
            self.running.append(claim(self.db, job_id, "p1"))

    def end(self, pick, tokens):
        if self.running:
            job = self.running.pop(pick % len(self.running))
            status = (SUCCEEDED, FAILED, CANCELLED)[tokens % 3]
            calls = [self.call(job, n, tokens) for n in range(tokens % 4)]
            assert finish(self.db, job, status=status, calls=calls, result={})

    def lose(self, pick, tokens):
        """Another worker takes the job up; the first comes back with its answer."""
        if self.running:
            place = pick % len(self.running)
            slow = self.running[place]
            lost = {"attempt": slow["attempt"], "owner": slow["owner"], "lost_at": utcnow()}
            update = {"$set": queued_again(utcnow()), "$push": {"lost": lost}}
            self.db.jobs.update_one({"_id": slow["_id"]}, update)
            self.running[place] = claim(self.db, slow["_id"], "p2")
            if tokens % 2:
                note_unkept(self.db, slow, [self.call(slow, 0, tokens)])

    def enter(self, pick, tokens):
        enter(self.db)

    def crash(self, pick, tokens):
        try:
            ledger.enter(self.db, PRICES, outbox=crash)
        except Crash:
            return

    def repeat(self, pick, tokens):
        again = {"$set": {"meter": "due"}, "$inc": {"meter_rev": 1}}
        self.db.jobs.update_many({"status": {"$in": [SUCCEEDED, FAILED, CANCELLED]}}, again)

    def compute(self, pick, tokens):
        allowances.tick(self.db, self.limits)

    def roll_up(self, pick, tokens):
        rollups.tick(self.db, utcnow() + timedelta(days=1))

    def compute_quarters(self, pick, tokens):
        recent.tick(self.db, utcnow() + timedelta(minutes=15))

    def release(self, pick, tokens):
        budgets.tick(self.db)

    def true_up(self, pick, tokens):
        true_up.tick(self.db)

    def come_to_rest(self):
        while self.running:
            self.end(0, 7)
        while enter(self.db):
            pass
        self.compute(0, 0)
        budgets.tick(self.db, utcnow() + timedelta(minutes=2))

    def call(self, job, n, tokens):
        return call(n, (tokens, 3), attempt=job["attempt"], **OURS)


STEPS = (
    *("ask", "ask", "ask", "end", "end", "lose", "lose", "enter", "crash", "repeat"),
    *("compute", "roll_up", "compute_quarters", "release", "true_up"),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=strategies.lists(
        strategies.tuples(
            strategies.sampled_from(STEPS),
            strategies.integers(0, 9),
            strategies.integers(1, 400),
        ),
        min_size=20,
        max_size=40,
    ),
    limit=strategies.integers(0, 2000),
)
def test_all_books_say_what_the_ledger_says(db, steps, limit):
    for name in COLLECTIONS:
        db[name].delete_many({})
    world = World(db, limit)
    for step, pick, tokens in steps:
        getattr(world, step)(pick, tokens)
    world.come_to_rest()

    rows = list(db.token_usage.find())
    kept = [row for row in rows if row["kept"]]
    total = sum(row["tokens_total"] for row in kept)
    used = usage.of_workspace(db, "w1", period(utcnow(), name="month"))
    assert used.total()["tokens_total"] == total
    above = sum(row["tokens_overage"] for row in db.managed_overage.find())
    assert above == max(0, total - limit)
    for state in db.usage_allowances.find():
        assert (state["used"], state["overage"]) == (total, above)
    for state in db.budgets.find():
        assert state["pending"] == {}
        assert exact(state["spent"]) == exact(state["used"])
        assert exact(state["spent"]) == sum((exact(row["cost"]) for row in kept), Decimal(0))
    found = audit.audit(
        db, "w1", period(utcnow(), name="month"), retained_since=utcnow() - timedelta(days=40)
    )
    assert found["equal"], found
    assert (found["calls"], found["rows_not_kept"]) == (len(rows), len(rows) - len(kept))
