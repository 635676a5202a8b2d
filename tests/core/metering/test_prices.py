"""Prices: exact where they are known, and never a zero where they are not."""

from decimal import Decimal

import pytest

from core.metering import prices
from core.metering.prices import Price, Prices

PRICES = Prices()


def call(model="gpt-4o-mini", provider="openai", key_kind="byokey", **usage):
    tokens = {"tokens_input": 1_000_000, "tokens_output": 1_000_000, **usage}
    return {"provider": provider, "model": model, "key_kind": key_kind, "usage": tokens}


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        ("openai", "gpt-4o-mini", "0.75"),
        ("openai", "gpt-4o", "12.5"),
        ("anthropic", "claude-opus-4-6", "30"),
        ("minimax", "MiniMax-M2.5", "1.5"),
        ("minimax", "MiniMax-Text-01", "1.3"),
        ("minimax", "minimax-text-01", "1.3"),
    ],
)
def test_the_missions_models_have_a_price(provider, model, usd):
    price = PRICES.of(call(model, provider, tokens_input=100_000, tokens_output=100_000))
    assert (price.cost * 10, price.status) == (Decimal(usd), "known")


@pytest.mark.parametrize(
    "strange",
    [
        call("ft:gpt-4o-mini:mine"),
        call("no-such-model"),
        call(provider="no-such-provider"),
        call(tokens_cached=2_000_000),
        call(tokens_input=-5),
        call("MiniMax-Text-01", "minimax", tokens_cached=2_000_000),
        call("MiniMax-Text-01", "minimax", tokens_output=-1),
    ],
)
def test_what_is_not_known_or_cannot_be_is_unknown(strange):
    assert PRICES.of(strange) == Price(None, "unknown")


@pytest.mark.parametrize("key_kind", ["custom", "sandbox"])
def test_endpoints_of_ones_own_and_the_sandbox_are_free(key_kind):
    assert PRICES.of(call("whatever", key_kind=key_kind)) == Price(Decimal(0), "free")


def test_no_tokens_cost_nothing_whatever_the_model():
    nothing = {"tokens_input": 0, "tokens_output": 0}
    assert PRICES.of(call("no-such-model", **nothing)) == Price(Decimal(0), "known")
    assert PRICES.of(call("no-such-model", key_kind="custom", **nothing)).status == "free"


def test_cached_tokens_cost_what_the_vendor_asks_for_them():
    assert PRICES.of(call(tokens_cached=1_000_000, tokens_output=0)).cost == Decimal("0.075")


@pytest.mark.parametrize("tier", ["priority", "flex", "scale", "batch"])
@pytest.mark.parametrize("key_kind", ["byokey", "custom"])
def test_a_service_tier_with_another_price_is_not_known_unless_a_table_has_it(db, tier, key_kind):
    made = {**call(), "key_kind": key_kind, "usage_raw": {"service_tier": tier}}
    rates = {"input": Decimal("1.5"), "output": Decimal("2.25")}
    prices.set_for_workspace(db, "w1", "openai", "gpt-4o-mini", rates, "2026-11-24")
    assert PRICES.of(made, prices.of_workspace(db, "w1")).status == "unknown"
    prices.set_for_workspace(db, "w1", "openai", f"gpt-4o-mini@{tier}", rates, "2026-11-24")
    price = PRICES.of(made, prices.of_workspace(db, "w1"))
    assert (price.status, price.cost, price.model) == ("known", Decimal("3.75"), f"gpt-4o-mini@{tier}")


@pytest.mark.parametrize("tier", ["auto", "default", "standard", "on_demand", None, 7, ["priority"]])
def test_any_other_has_the_models_own_price(tier):
    assert PRICES.of({**call(), "usage_raw": {"service_tier": tier}}) == PRICES.of(call())


def test_an_estimated_usage_makes_an_estimated_cost():
    assert PRICES.of({**call(), "usage_status": "estimated"}).status == "estimated"


def test_a_workspaces_own_price_comes_first(db):
    rates = {"input": Decimal("1.5"), "output": Decimal("2.25"), "cache_read": Decimal("0.5")}
    prices.set_for_workspace(db, "w1", "openai", "gpt-4o-mini", rates, "2026-11-24")
    own = prices.of_workspace(db, "w1")
    price = PRICES.of(call(tokens_cached=500_000), own)
    assert (price.cost, price.source, price.version) == (Decimal("3.25"), "workspace", "2026-11-24")
    assert prices.of_workspace(db, "w2") == {}


def test_a_sum_is_as_certain_as_its_least_certain_part():
    known, free, guess, unknown = (
        Price(Decimal("0.1"), "known"),
        Price(Decimal(0), "free"),
        Price(Decimal("0.2"), "estimated"),
        Price(None, "unknown"),
    )
    assert prices.total([known, known]) == (Decimal("0.2"), "known")
    assert prices.total([known, free, guess]) == (Decimal("0.3"), "estimated")
    assert prices.total([free]) == (Decimal(0), "free")
    assert prices.total([known, unknown]) == (None, "unknown")
    assert prices.total([]) == (None, "unknown")


def test_a_write_for_an_hour_costs_twice_the_input_and_one_for_five_minutes_a_quarter_more():
    tokens = {"tokens_input": 100_000, "tokens_output": 0, "tokens_cache_write": 100_000}
    made = call("claude-sonnet-4-5", "anthropic", **tokens)
    read = PRICES.of(call("claude-sonnet-4-5", "anthropic", tokens_input=100_000, tokens_output=0)).cost

    def written(hour):
        creation = {"ephemeral_5m_input_tokens": 100_000 - hour, "ephemeral_1h_input_tokens": hour}
        return PRICES.of({**made, "usage_raw": {"cache_creation": creation}}).cost

    assert PRICES.of(made).cost == written(0) == read * Decimal("1.25")
    assert written(100_000) == read * 2
    assert written(60_000) == read * Decimal("1.7")
    for odd in (-1, True, "7", 100_001):
        assert (
            written(0)
            == PRICES.of({**made, "usage_raw": {"cache_creation": {"ephemeral_1h_input_tokens": odd}}}).cost
        )


def test_a_custom_endpoints_call_is_free_only_while_its_workspace_gives_no_price():
    rates = {"input": 1, "output": 2, "date": "2026-11-24"}
    own = prices.table([{"provider": "openai", "model": "m", **rates}], source="workspace", version="")
    asked = call("m", key_kind="custom")
    assert (PRICES.of(asked).status, PRICES.of(asked, own).cost) == ("free", 3)


@pytest.mark.parametrize("cache", ["tokens_cached", "tokens_cache_write"])
def test_a_cache_that_gives_tokens_back_is_no_price(cache):
    assert PRICES.of(call("MiniMax-Text-01", "minimax", **{cache: -1})) == Price(None, "unknown")


def test_a_workspaces_own_price_comes_before_ours():
    rates = {"input": 1, "output": 2, "date": "2026-11-24"}
    named = {"provider": "minimax", "model": "MiniMax-Text-01"}
    own = prices.table([{**named, **rates}], source="workspace", version="")
    price = PRICES.of(call("MiniMax-Text-01", "minimax"), own)
    assert (price.cost, price.source) == (3, "workspace")
