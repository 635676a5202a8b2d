"""Quotes: what a job's own result says it cost; never a guess, and never the end of a job."""

from __future__ import annotations

from decimal import Decimal

from pymongo import MongoClient

from core.metering import prices
from core.metering.quotes import CACHED_S, Quotes
from tests.core.metering.rows import PRICES, call

UNKNOWN = {"cost": None, "cost_status": "unknown"}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_all_calls_that_used_tokens_count(db):
    quotes = Quotes(db, PRICES)
    found = quotes.cost("w1", [call(), call(1, usage=None, outcome="unreachable"), call(2)])
    assert found == {"cost": 0.0000096, "cost_status": "known"}


def test_a_call_that_used_nothing_costs_nothing(db):
    zero = {"tokens_input": 0, "tokens_output": 0, "tokens_total": 0}
    quotes = Quotes(db, PRICES)
    assert quotes.cost("w1", [call(usage=zero)]) == {"cost": 0.0, "cost_status": "known"}


def test_one_unknown_price_makes_the_whole_unknown(db):
    quotes = Quotes(db, PRICES)
    assert quotes.cost("w1", [call(), call(1, model="of my own")]) == UNKNOWN
    assert quotes.cost("w1", []) == UNKNOWN


def test_an_estimate_among_them_makes_it_estimated(db):
    found = Quotes(db, PRICES).cost("w1", [call(), call(1, usage_status="estimated")])
    assert found["cost_status"] == "estimated"


def test_the_workspaces_own_prices_are_read_now_and_then(db):
    clock = Clock()
    quotes = Quotes(db, PRICES, monotonic=clock)
    rates = {"input": Decimal(1), "output": Decimal(0)}
    assert quotes.cost("w1", [call()])["cost"] == 0.0000048
    prices.set_for_workspace(db, "w1", "openai", "gpt-4o-mini", rates, "2026-11-25")
    assert quotes.cost("w1", [call()])["cost"] == 0.0000048
    clock.now = CACHED_S
    assert quotes.cost("w1", [call()])["cost"] == 0.000012
    assert quotes.cost("w2", [call()])["cost"] == 0.0000048


def test_a_store_that_is_away_costs_the_job_nothing_but_its_quote():
    with MongoClient("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=50) as away:
        assert Quotes(away.nowhere, PRICES).cost("w1", [call()]) == UNKNOWN
