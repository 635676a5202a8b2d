"""The table of tiers: the mission's, and refused in plain words when it has a hole."""

import json

import pytest

from core.llm import tiers
from core.llm.tiers import BadTiers


def changed(folder, change):
    table = json.loads(tiers.FILE.read_text())
    change(table)
    file = folder / "llm-tiers.json"
    file.write_text(json.dumps(table))
    return file


def test_the_table_is_the_missions():
    found = {
        name: (tier.chat_model, tier.runtime_model, tier.monthly_tokens, tier.price_usd)
        for name, tier in tiers.table().tiers.items()
    }
    assert found == {
        "economy": ("minimax/MiniMax-M2.5", "minimax/MiniMax-M2.5", 2_000_000, 5),
        "standard": ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", 5_000_000, 10),
        "premium": ("openai/gpt-4o", "anthropic/claude-opus-4-6", 10_000_000, 20),
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t["tiers"]["economy"].update(chat_model="gpt-4o"), "tiers.economy.chat_model"),
        (lambda t: t["tiers"]["economy"].update(monthly_tokens="2M"), "tiers.economy.monthly_tokens"),
        (lambda t: t["tiers"]["economy"].update(monthly_tokens=0), "tiers.economy.monthly_tokens"),
        (lambda t: t["tiers"]["economy"].pop("price_usd"), "tiers.economy.price_usd"),
        (lambda t: t["tiers"]["economy"].update(prize=1), "tiers.economy.prize"),
        (lambda t: t["tiers"]["economy"].update(chat_model="grok/grok-9"), "economy names grok"),
        (lambda t: t["fallback_chains"]["openai"].append("grok"), "the chain of openai names grok"),
        (lambda t: t["fallback_chains"].pop("minimax"), "minimax has no entry in fallback_chains"),
        (lambda t: t["default_models"].pop("minimax"), "minimax has no entry in default_models"),
        (lambda t: t["default_models"].update(grok="grok-9"), "default_models names grok"),
        (lambda t: t["fallback_chains"].update(grok=["openai"]), "fallback_chains names grok"),
        (lambda t: t["fallback_chains"]["openai"].append("sandbox"), "the chain of openai names sandbox"),
        (lambda t: t.pop("default_models"), "default_models"),
    ],
)
def test_a_hole_in_the_table_is_named(tmp_path, change, said):
    with pytest.raises(BadTiers, match=said):
        tiers.read(changed(tmp_path, change))


def test_a_file_that_is_no_json_or_is_not_there(tmp_path):
    (tmp_path / "llm-tiers.json").write_text("{")
    with pytest.raises(BadTiers, match=r"llm-tiers\.json"):
        tiers.read(tmp_path / "llm-tiers.json")
    with pytest.raises(BadTiers, match="cannot be read"):
        tiers.read(tmp_path / "nowhere.json")
