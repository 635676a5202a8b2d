"""Agents: the list, a new one, its process, its log, its usage, how it is called."""

from __future__ import annotations

import ast
import html
import re
from datetime import timedelta

import pytest

from core.clock import utcnow
from core.runtime import placement, records
from tests.core.runtime.conftest import here
from tests.web.dashboard.forms import forms
from web.dashboard.agents import snippets
from web.dashboard.agents.lights import light

SCRIPT = "<script>alert(1)</script>"
KEY = "sk-of-a-user-0123456789"
CONFIGURED = {"_id": "a1", "llm_config": {"provider": "openai"}}


@pytest.fixture
def host(services):
    here(services.db, "h1")
    placement.describe(services.db, "h1", capacity=5, free_mb=5000.0, used_mb=0, agents=0)


def process(services, agent, status, **changes):
    born = records.born("default", agent)
    services.db.runtimes.insert_one({**born, "status": status, **changes})


@pytest.mark.parametrize(
    ("agent", "status", "failed", "tone"),
    [
        (CONFIGURED, None, 0, "healthy"),
        (CONFIGURED, "ready", 0, "healthy"),
        (CONFIGURED, None, 1, "some_failed"),
        (CONFIGURED, None, 5, "failing"),
        (CONFIGURED, "failed", 1, "failed"),
        (CONFIGURED, "unhealthy", 0, "unhealthy"),
        (CONFIGURED, "backoff", 0, "late"),
        ({"_id": "a1", "llm_config": None}, None, 0, "unready"),
        ({"_id": "a1", "llm_config": None}, "failed", 0, "failed"),
    ],
)
def test_a_light_shows_the_worst_of_what_is_known(agent, status, failed, tone):
    record = status and {"status": status}
    assert light(agent, record, {"a1": failed, "a2": 9}).tone == tone


def test_the_list_has_the_workspaces_agents_with_their_lights(browser, browser_for, agent, services):
    at = utcnow().replace(second=0, microsecond=0) - timedelta(minutes=1)
    failed = {"workspace_id": "default", "at": at, "failed": 6, "agents": [{"name": agent, "n": 6}]}
    services.db.history_minutes.insert_one(failed)
    process(services, agent, "ready")
    page = browser.page("/agents")
    assert re.search(r'class="state failing" title="6 of its jobs failed within the hour"', page)
    assert 'class="state ready"' in page
    assert "scout" not in browser_for("member", workspace="other").page("/agents")
    assert "No agents yet" in browser_for("member", workspace="other").page("/agents")


def test_an_agent_is_made_with_its_provider_and_a_key_that_is_never_shown(browser, services):
    fields = {"name": "writer", "system_prompt": "Be brief.", "provider": "openai", "api_key": KEY}
    made = browser.submit("/agents", fields)
    assert made.status_code == 303
    stored = services.db.agents.find_one({"name": "writer"})
    assert made.location == f"/agents/{stored['_id']}"
    assert (stored["system_prompt"], stored["llm_config"]["key_hint"]) == ("Be brief.", "6789")
    for path in ("", "/settings", "/process", "/usage", "/code", "/log"):
        assert KEY not in browser.page(f"/agents/{stored['_id']}{path}")


def test_an_agent_may_be_made_without_a_provider_and_says_what_it_needs(browser, services):
    made = browser.submit("/agents", {"name": "blank", "provider": ""})
    assert "It has no provider yet" in browser.page(made.location)


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"name": ""}, 422, "name"),
        ({"name": "a", "provider": "openai"}, 422, "key"),
        ({"name": "scout"}, 409, "already"),
        ({"name": "a", "provider": "nobody", "api_key": KEY}, 422, "nknown provider"),
    ],
)
def test_what_cannot_be_made_is_said_in_words(browser, agent, fields, status, said):
    answer = browser.submit("/agents", fields)
    assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8")
    assert said in html.unescape(answer.text)


@pytest.mark.parametrize("order", ["start", "stop", "restart"])
def test_a_process_is_ordered_by_a_job(browser, agent, services, host, order):
    done = browser.submit(f"/agents/{agent}/order/{order}")
    assert done.location == f"/agents/{agent}/process"
    assert services.db.jobs.find_one({"agent_id": agent})["kind"] == f"agent_{order}"
    wanted = "stopped" if order == "stop" else "running"
    assert records.find(services.db, agent)["desired"] == wanted


def test_there_is_no_other_order(browser, agent):
    assert browser.submit(f"/agents/{agent}/order/purge").status_code == 404


def test_a_process_is_shown_with_its_memory_its_restarts_and_what_happened(browser, agent, services):
    looks = [
        {"at": utcnow(), "ready": True, "memory_mb": mb, "children": 1, "restarts": n}
        for n, mb in enumerate((80.0, 120.5))
    ]
    event = {"n": 1, "at": utcnow(), "before": "ready", "status": "backoff", "why": f"it died {SCRIPT}"}
    process(services, agent, "backoff", health=looks, events=[event], restarts=2, desired="running")
    page = browser.page(f"/agents/{agent}/process")
    assert '"values": [80.0, 120.5]' in page
    assert "It died &lt;script&gt;" in page
    assert SCRIPT not in page
    assert list(forms(page)) >= [f"/agents/{agent}/order/restart", f"/agents/{agent}/order/stop"]


def test_a_viewer_sees_the_process_and_no_button(browser_for, agent):
    page = browser_for("viewer").page(f"/agents/{agent}/process")
    assert "It was never started" in page
    assert "/order/" not in page


def test_the_log_is_for_members(browser, browser_for, agent):
    assert "No log yet" in browser.page(f"/agents/{agent}/log")
    for path in ("log", "log/stream"):
        assert browser_for("viewer").get(f"/agents/{agent}/{path}").status_code == 403


def test_a_log_whose_host_does_not_answer_says_so(browser, agent, services):
    process(services, agent, "ready", host="h9")
    answer = browser.get(f"/agents/{agent}/log/stream")
    assert answer.content_type.startswith("text/event-stream")
    events = [event for event in answer.text.split("\n\n") if not event.startswith(":")]
    assert events[:2] == ["event: ready\ndata:", "event: silent\ndata:"]


def test_usage_is_what_the_api_tells(browser, member, agent, services):
    assert "Nothing was used" in browser.page(f"/agents/{agent}/usage")
    day = f"{utcnow():%Y-%m-%d}"
    sums = dict.fromkeys(
        ("failed", "estimated", "unpriced", "tokens_cached", "tokens_cache_write", "tokens_reasoning"), 0
    )
    row = {"requests": 3, "tokens_input": 1200, "tokens_output": 34, "tokens_total": 1234, "cost": 0, **sums}
    of = {"workspace_id": "default", "agent_id": agent, "date": day, "provider": "sandbox"}
    more = {"model": "sandbox", "tier": "byokey", "key_kind": "none", "speeds": {}}
    services.db.usage_daily.insert_one({**of, **more, **row})
    told = member.get(f"/agents/{agent}/usage").json
    page = browser.page(f"/agents/{agent}/usage?period=day")
    assert told["totals"]["tokens_total"] == 1234
    assert "1,234" in page


@pytest.mark.parametrize("name", ["scout", 'a"b', "a'b", "a\\", "a\nb", SCRIPT])
def test_no_name_of_an_agent_is_code_in_what_is_copied(name):
    (_, _, python), (_, _, javascript), _ = snippets.of({"_id": "1", "name": name}, "http://x")
    [model] = [
        one.value
        for one in ast.walk(ast.parse(python))
        if isinstance(one, ast.keyword) and one.arg == "model"
    ]
    assert ast.literal_eval(model) == f"agent:{name}"
    assert model.value.replace("agent:", "") == name
    assert javascript.count('"agent:') == 1


@pytest.mark.parametrize("path", ["", "/settings", "/process", "/log", "/usage", "/code"])
def test_a_name_is_never_markup_and_a_strangers_agent_is_not_there(browser, browser_for, member, path):
    made = member.post("/agents", {"name": SCRIPT, "description": SCRIPT, "system_prompt": SCRIPT})
    where = f"/agents/{made.json['id']}{path}"
    assert SCRIPT not in browser.page(where)
    assert browser_for("admin", workspace="other").get(where).status_code == 404
