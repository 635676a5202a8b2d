"""The providers' rows: each vendor has all that it needs, and one that is added says what is missing."""

import json
import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from core.config import Settings
from core.errors import Invalid
from core.llm import plan, providers, tiers, windows
from core.llm.providers import PROVIDERS, Habits, Provider
from core.llm.tiers import BadTiers
from core.llm.wire import WIRES
from core.metering.prices import Prices
from tests.core.llm.wire.replay import GPT, GROQ, MINIMAX, target
from tests.stack import ROOT

NEWCOMER = Provider(
    "newcomer", "openai", "https://api.newcomer.example/v1", priced_as="x-ai", habits=Habits(names=False)
)
USAGE = {"tokens_input": 1000, "tokens_output": 10}


def file_with(folder, **entries):
    """The tiers' file with one more entry in each of its tables."""
    table = json.loads(tiers.FILE.read_text())
    for name, entry in entries.items():
        table[name]["newcomer"] = entry
    file = folder / "llm-tiers.json"
    file.write_text(json.dumps(table))
    return file


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_called_as_its_row_says_and_speaks_a_wire(name):
    assert PROVIDERS[name].name == name
    assert PROVIDERS[name].wire in WIRES


@pytest.mark.parametrize("name", providers.vendors())
def test_a_vendors_default_model_has_a_price_and_a_window(name):
    model = tiers.default_model(name)
    price = Prices().of({"provider": name, "model": model, "key_kind": "byokey", "usage": USAGE})
    assert price.status == "known", f"{name}/{model} has no price: see `priced_as`, and prices.json"
    assert windows.known(name, model), f"{name}/{model} has no window: see `priced_as`, and `windows`"


def test_a_vendor_without_a_default_model_or_a_chain_is_named_when_a_process_starts(tmp_path, monkeypatch):
    monkeypatch.setitem(PROVIDERS, "newcomer", NEWCOMER)
    with pytest.raises(BadTiers, match="newcomer has no entry in default_models"):
        tiers.read(tiers.FILE)
    with pytest.raises(BadTiers, match="newcomer has no entry in fallback_chains"):
        tiers.read(file_with(tmp_path, default_models="grok-4"))
    tiers.read(file_with(tmp_path, default_models="grok-4", fallback_chains=["newcomer", "openai"]))


def test_a_vendor_is_a_row_and_two_entries(tmp_path, monkeypatch):
    monkeypatch.setitem(PROVIDERS, "newcomer", NEWCOMER)
    table = tiers.read(file_with(tmp_path, default_models="grok-4", fallback_chains=["newcomer", "openai"]))
    monkeypatch.setattr(tiers, "table", lambda: table)
    config = {
        "provider": "newcomer",
        "model": None,
        "custom_endpoint": None,
        "sealed_key": "s",
        "credential": None,
    }
    config |= {"managed": False, "allow_managed_fallback": False, "tier": None, "fallback": None}
    config["keys"] = {"openai": {"sealed": "o"}}
    plan.check(config, Settings())
    made = plan.make("a1", config, settings=Settings(), find_credential=lambda name: None)
    assert [(t["provider"], t["model"], t["base_url"]) for t in made] == [
        ("newcomer", "grok-4", "https://api.newcomer.example/v1"),
        ("openai", "gpt-4o-mini", "https://api.openai.com/v1"),
    ]
    assert windows.known("newcomer", "grok-4") == 256_000
    assert providers.vendor_at("https://API.newcomer.example:443/v1/") == "newcomer"


@pytest.mark.parametrize("name", providers.vendors())
def test_a_vendors_own_address_is_the_vendor(name):
    assert providers.vendor_at(PROVIDERS[name].base_url) == name
    for host in PROVIDERS[name].hosts:
        assert providers.vendor_at(f"https://{host}/v1") == name
    assert providers.vendor_at("https://example.com/v1") is None


@pytest.mark.parametrize("name", providers.vendors())
def test_the_readme_names_each_vendor_and_its_address_is_no_custom_endpoint(name):
    said = (ROOT / "README.md").read_text().partition("\n## Providers\n")[2].partition("\n## ")[0]
    assert f"`{name}`" in said, f"README.md does not name {name} among the providers"
    for url in re.findall(r"`(https?://[^`]+)`", said):
        assert providers.vendor_at(url) != name, f"README.md: {url} is {name} itself, no custom endpoint"


@pytest.mark.parametrize("name", providers.vendors())
def test_the_habits_of_a_vendor_stand_in_its_row_alone(name):
    host = urlsplit(PROVIDERS[name].base_url).hostname
    for domain in providers.OF_CUSTOM_ENDPOINTS:
        assert not f".{host}".endswith(f".{domain}"), f"{domain} in OF_CUSTOM_ENDPOINTS hides {name}'s row"


def test_a_window_that_the_public_tables_lack_is_the_rows(monkeypatch):
    row = replace(NEWCOMER, windows={"grok-nine": 7})
    monkeypatch.setitem(PROVIDERS, "newcomer", row)
    assert windows.known("newcomer", "grok-nine") == 7
    assert windows.known("newcomer", "grok-4") == 256_000
    assert windows.known("nobody", "grok-nine") is None


def test_habits_are_those_of_the_address_and_then_of_the_name():
    plain, minimax = PROVIDERS["openai"].habits, PROVIDERS["minimax"].habits
    assert minimax != plain
    mine = "https://example.com/v1"
    assert [providers.habits(one) for one in (GPT, MINIMAX)] == [plain, minimax]
    assert providers.habits(GROQ) == Habits(names=False)
    assert providers.habits(target(base_url="https://api.minimaxi.com/v1", key_kind="custom")) == minimax
    assert providers.habits(target("minimax", base_url=mine, key_kind="custom")) == minimax
    assert providers.habits(target(base_url=mine, key_kind="custom")) == plain


@pytest.mark.parametrize("given", ["https://a.example.com/v1", "https://a.example.com/v1/"])
@pytest.mark.parametrize(
    "rest", ["", "/chat/completions", "/chat/completions/", "/completions", "/responses", "/messages/"]
)
def test_an_endpoint_may_be_given_with_the_path_that_calls_go_to(given, rest):
    assert providers.address("openai", given.rstrip("/") + rest, Settings()) == "https://a.example.com/v1"


def test_the_path_of_an_endpoint_that_only_looks_like_one_of_a_call_stays():
    for given in ("https://a.example.com/models", "https://a.example.com/my-messages"):
        assert providers.address("openai", given, Settings()) == given


def test_an_endpoint_with_a_query_is_refused_in_words_that_help():
    with pytest.raises(Invalid, match="leave the query out"):
        providers.check_endpoint("openai", "https://a.example.com/v1?api-version=1")
