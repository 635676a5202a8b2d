"""An agent's settings: each field comes back, keys are only written, the test, the route, the end."""

from __future__ import annotations

import html

import pytest

from core.agents.fields import LLM_CONFIG as ROWS
from core.agents.fields import Row
from tests.web import test_agent_fields as fields
from tests.web.dashboard.forms import forms
from web.dashboard.agents import form

KEY = "sk-of-a-user-0123456789"
OPENAI = {"provider": "openai", "api_key": KEY}


@pytest.fixture(autouse=True)
def credentials(member):
    for name in ("main", "spare"):
        member.put(f"/credentials/{name}", {"provider": "openai", "api_key": KEY})


@pytest.fixture
def made(admin):
    def make(config=OPENAI, **more):
        answer = admin.post("/agents", {"name": "scout", "llm_config": config, **more})
        assert answer.status_code == 201, answer.text
        return answer.json["id"]

    return make


def stored(services, agent):
    found = services.db.agents.find_one({"_id": agent})
    return {name: value for name, value in found.items() if name not in ("revision", "updated_at")}


def save(browser, agent, what, **changes):
    """Send a form as it is drawn, with some fields changed; None leaves one out."""
    path = f"/agents/{agent}/{what}"
    sent = dict(forms(browser.page(f"/agents/{agent}/settings"))[path]) | changes
    return browser.client.post(path, data={name: text for name, text in sent.items() if text is not None})


@pytest.mark.parametrize("name", fields.AGENT)
def test_a_field_of_an_agent_comes_back_as_it_was_drawn(browser_for, services, made, name):
    agent = made(**{name: fields.AGENT[name][1]})
    before = stored(services, agent)
    assert save(browser_for("admin"), agent, "settings").status_code == 303
    assert stored(services, agent) == before


@pytest.mark.parametrize("name", fields.LLM_CONFIG)
def test_a_field_of_an_llm_config_comes_back_as_it_was_drawn(browser_for, services, made, name):
    config = {**fields.NEEDS.get(name, OPENAI), name: fields.LLM_CONFIG[name][1]}
    agent = made(config)
    before = stored(services, agent)
    answer = save(browser_for("admin"), agent, "llm-config")
    assert answer.status_code == 303, answer.text
    assert stored(services, agent) == before


def test_a_field_that_is_new_in_the_table_is_drawn_by_its_type():
    kinds = {bool | None: "check", int | None: "number", str: "text", dict[str, int] | None: "json"}
    rows = [Row(f"f{n}", kind) for n, kind in enumerate(kinds)]
    drawn = form.controls(rows, {})
    assert [one.kind for one in drawn.values()] == list(kinds.values())


def test_a_key_stays_until_another_is_typed_or_it_is_removed(browser, services, made):
    agent = made()
    sealed = stored(services, agent)["llm_config"]["sealed_key"]
    save(browser, agent, "llm-config", model="gpt-4o")
    assert stored(services, agent)["llm_config"]["sealed_key"] == sealed
    save(browser, agent, "llm-config", api_key="sk-another-0123456789-abcd")
    assert stored(services, agent)["llm_config"]["key_hint"] == "abcd"
    save(browser, agent, "llm-config", forget_key="yes", credential="main")
    assert stored(services, agent)["llm_config"]["sealed_key"] is None


def test_keys_of_the_providers_that_are_asked_next_are_added_and_removed(browser, services, made):
    agent = made()
    save(browser, agent, "llm-config", other_provider="minimax", other_key=KEY, fallback="minimax/M2\n")
    config = stored(services, agent)["llm_config"]
    assert (list(config["keys"]), config["fallback"]) == (
        ["minimax"],
        [{"provider": "minimax", "model": "M2"}],
    )
    save(browser, agent, "llm-config", fallback="none", **{"forget:minimax": "yes"})
    config = stored(services, agent)["llm_config"]
    assert (config["keys"], config["fallback"]) == ({}, [])


def test_a_managed_tier_is_a_choice_of_the_drop_down(browser, services, made):
    agent = made()
    assert save(browser, agent, "llm-config", provider="tier:standard").status_code == 303
    config = stored(services, agent)["llm_config"]
    assert (config["managed"], config["tier"], config["provider"]) == (True, "standard", None)


@pytest.mark.parametrize(
    ("what", "changes", "said"),
    [
        ("llm-config", {"temperature": "warm"}, "temperature"),
        ("llm-config", {"temperature": "9"}, "temperature"),
        ("llm-config", {"provider": "minimax"}, "api_key"),
        ("llm-config", {"custom_endpoint": "file:///etc"}, "custom_endpoint"),
        ("settings", {"metadata": "{"}, "metadata"),
        ("settings", {"name": " "}, "name"),
        ("settings", {"email": "nobody"}, "email"),
    ],
)
def test_what_cannot_be_saved_is_said_with_its_place(browser, services, made, what, changes, said):
    agent = made()
    before = stored(services, agent)
    answer = save(browser, agent, what, **changes)
    assert answer.status_code == 422
    assert f">{said}</b>" in answer.text
    assert KEY not in answer.text
    assert stored(services, agent) == before


def test_the_rule_of_a_tier_is_loosened_by_an_admin_alone(browser, browser_for, services, made):
    agent = made(limit_policy="block")
    assert save(browser, agent, "settings", limit_policy="").status_code == 403
    assert save(browser_for("admin"), agent, "settings", limit_policy="").status_code == 303


def test_the_route_is_what_explain_tells(browser, member, made):
    agent = made(
        {**OPENAI, "model": "gpt-4o-mini", "fallback": [{"provider": "minimax"}], "keys": {"minimax": KEY}}
    )
    told = member.post(f"/agents/{agent}/llm-config/explain", {"message": "Hello."}).json["route"]
    page = html.unescape(browser.page(f"/agents/{agent}/settings"))
    assert [target["provider"] for target in told] == ["openai", "minimax"]
    for target in told:
        assert f"<b>{target['model']}</b>" in page
    assert "its own key" in page


def test_where_no_call_could_be_made_the_route_says_why(browser, member, made):
    agent = made({"provider": "openai", "credential": "main"})
    member.delete("/credentials/main")
    assert "credential" in browser.page(f"/agents/{agent}/settings").partition("The route")[2]


def test_a_test_tells_whether_the_provider_answers(browser, agent, services):
    asked = browser.submit(f"/agents/{agent}/test")
    job = services.db.jobs.find_one({"kind": "llm_test"})
    again = f"/agents/{agent}/test/{job['_id']}"
    assert f'hx-get="{again}"' in asked.text
    result = {"ok": True, "provider": "sandbox", "model": "tiny", "latency_ms": 41, "cost": 0.0}
    services.db.jobs.update_one({"_id": job["_id"]}, {"$set": {"status": "succeeded", "result": result}})
    assert "tiny answers, in 41 ms, for $0.00" in browser.page(again)
    failed = {"status": "failed", "error": {"detail": "the key was refused"}}
    services.db.jobs.update_one({"_id": job["_id"]}, {"$set": failed})
    assert "The key was refused" in browser.page(again)


def test_a_viewer_sees_the_settings_and_may_change_none(browser_for, agent):
    page = browser_for("viewer").page(f"/agents/{agent}/settings")
    assert "<fieldset disabled>" in page
    assert "Delete" not in page


def test_an_agent_that_runs_is_not_deleted(browser, agent, services):
    running = {"_id": agent, "workspace_id": "default", "status": "ready", "desired": "running", "host": None}
    services.db.runtimes.insert_one({**running, "lost_at": None})
    assert browser.submit(f"/agents/{agent}/delete").status_code == 409
    services.db.runtimes.delete_one({})
    assert browser.submit(f"/agents/{agent}/delete").location == "/agents"
    assert services.db.agents.find_one({"_id": agent}) is None


def test_every_field_of_an_llm_config_is_drawn_once(browser, made):
    page = browser.page(f"/agents/{made()}/settings")
    for row in ROWS:
        assert row.name == "managed" or page.count(f'name="{row.name}"') == 1, row.name
