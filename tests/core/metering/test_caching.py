"""What caching saved, by an agent's model and in all."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.agents import agents
from core.clock import utcnow
from core.metering import prices, reports
from core.metering.periods import period
from tests.core.metering.rows import PRICES, put, row

MILLION = 1_000_000


def used(tokens, cached=0, written=0, **more):
    """A row with so many tokens of input, which are parts of millions of dollars' prices."""
    usage = {
        "tokens_input": tokens,
        "tokens_output": 0,
        "tokens_total": tokens,
        "tokens_cached": cached,
        "tokens_cache_write": written,
    }
    return row(utcnow(), agent="a1", usage=usage, **more)


@pytest.fixture
def priced(db):
    """A model that costs 10 USD for a million tokens, 1 from the cache, 12.50 to write there."""
    rates = {name: Decimal(rate) for name, rate in PER_MILLION.items()}
    prices.set_for_workspace(db, "w1", "openai", "ours", rates, "2026-11-01")


PER_MILLION = {"input": "10", "output": "30", "cache_read": "1", "cache_write": "12.5"}


def report(db):
    now = utcnow()
    agent = agents.born("w1", "a1", {"name": "a"}) | {"_id": "a1"}
    found = reports.agent(db, agent, period(now, name="week"), {}, now, PRICES)
    return found["cache_saved"], {one["model"]: one["cache_saved"] for one in found["by_model"]}


def test_what_was_read_from_the_cache_cost_less(db, priced):
    put(db, [used(MILLION, cached=MILLION // 2, model="ours"), used(MILLION, model="ours")])
    assert report(db) == (4.5, {"ours": 4.5})


def test_what_was_only_written_cost_more(db, priced):
    put(db, [used(MILLION, written=MILLION, model="ours")])
    assert report(db) == (-2.5, {"ours": -2.5})


def test_a_month_of_short_calls_has_the_price_of_short_calls(db):
    """Gemini's and Claude's prices rise with the length of a call; the sum of many is no long call."""
    model = {"provider": "anthropic", "model": "claude-sonnet-4-5"}
    put(db, [used(150_000, cached=150_000, **model) for _ in range(4)])
    saved, _ = report(db)
    assert saved == pytest.approx(4 * 150_000 * (3 - 0.3) / MILLION)


def test_where_nothing_was_cached_nothing_was_saved_whatever_the_price(db):
    put(db, [used(1000, model="of my own")])
    assert report(db) == (0, {"of my own": 0})


def test_an_unknown_price_is_no_zero(db, priced):
    put(db, [used(1000, cached=500, model="of my own"), used(MILLION, cached=MILLION, model="ours")])
    assert report(db) == (None, {"of my own": None, "ours": 9.0})


def test_a_call_that_is_free_saves_nothing(db, priced):
    put(db, [used(1000, cached=500, model="local", key_kind="custom")])
    assert report(db) == (0, {"local": 0})
