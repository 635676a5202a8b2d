"""The providers: what each did by day, whose breaker is open, and credentials whose keys are only written."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core import sketch
from core.clock import utcnow
from core.llm.breaker import FAILURES, Breaker
from core.llm.failures import ProviderBusy
from core.llm.types import Target
from tests.web.dashboard.forms import forms
from tests.web.dashboard.test_overview import charts

KEY = "sk-of-a-user-0123456789"
OPENAI = "https://api.openai.com/v1"
MAIN = "/providers/credentials/main"


@pytest.fixture
def main(browser):
    """A credential."""
    answer = browser.submit("/providers", {"name": "main", "provider": "openai", "api_key": KEY})
    assert answer.location == "/providers", answer.text


@pytest.fixture
def user(member, main):
    """The id of an agent that uses it, and may ask another provider after it."""
    keys = {"anthropic": "sk-other"}
    config = {"provider": "openai", "credential": "main", "keys": keys}
    return member.post("/agents", {"name": "reader", "llm_config": config}).json["id"]


@pytest.fixture
def past(services):
    """Yesterday's and today's calls: 10 of openai, 4 of them failed yesterday; 2 of anthropic."""
    now = utcnow().replace(minute=0, second=0, microsecond=0)
    for at, calls, failed in ((now - timedelta(days=1), 6, 4), (now, 4, 0)):
        openai = provider("openai", calls, failed)
        point = {"at": at, "workspace_id": "default", "providers": [openai]}
        services.db.history_hours.insert_one(point)
        services.db.history_minutes.insert_one({**point, "providers": [provider("anthropic", 1, 0), openai]})


def provider(name, calls, failed):
    times = {"latency": sketch.of([200] * (calls - failed)), "first_token": sketch.of([50])}
    return {"name": name, "calls": calls, "failed": failed, **times}


def test_each_day_has_its_calls_failures_and_times(browser, past):
    drawn = charts(browser.page("/providers"))
    answered, failed = (one["values"] for one in drawn["calls"]["series"])
    assert (answered[-2:], failed[-2:]) == ([2, 4], [4, 0])
    assert len(drawn["calls"]["x"]) == len(drawn["times"]["x"]) == 7
    median, p95, first = (one["values"][-1] for one in drawn["times"]["series"])
    assert 190 < median <= p95 < 210
    assert 45 < first < 55


def test_whose_days_are_drawn_is_chosen_and_else_who_was_asked_most(browser, past):
    assert "Calls of openai" in browser.page("/providers")
    page = browser.page("/providers?provider=anthropic&days=30")
    assert "Calls of anthropic" in page
    assert len(charts(page)["calls"]["x"]) == 30
    assert "Calls of openai" in browser.page("/providers?provider=nobody&days=x")


def test_a_breaker_that_is_open_is_shown_where_it_is_asked(browser, browser_for, user, services):
    assert 'class="state open"' not in browser.page("/providers")
    breaker = Breaker(services.redis)
    for _ in range(FAILURES):
        breaker.failed(Target("openai", "m", "openai", OPENAI, None, "byokey"), ProviderBusy("busy"))
    page = browser.page("/providers")
    assert 'class="state open"' in page
    assert f"{OPENAI} is asked last until it answers" in page
    assert 'class="state open"' not in browser_for("member", workspace="other").page("/providers")


def test_another_workspaces_calls_and_credentials_are_not_in_it(browser_for, past, main):
    page = browser_for("member", workspace="other").page("/providers")
    assert "Nobody is asked yet" in page
    assert "No credentials yet" in page


def test_a_credential_is_kept_sealed_and_its_key_never_shown(browser, main, services):
    for page in (browser.page("/providers"), browser.page(MAIN)):
        assert KEY not in page
        assert KEY[-4:] in page
    assert KEY not in str(services.db.credentials.find_one())


def test_a_form_that_is_sent_as_it_was_drawn_changes_nothing(browser, main, services):
    before = services.db.credentials.find_one({}, {"updated_at": 0, "revision": 0})
    assert browser.client.post(MAIN, data=dict(forms(browser.page(MAIN))[MAIN])).location == MAIN
    assert services.db.credentials.find_one({}, {"updated_at": 0, "revision": 0}) == before


def test_another_address_needs_the_key_again(browser, main, services):
    elsewhere = {"provider": "openai", "custom_endpoint": "https://llm.example.com/v1"}
    assert "`api_key`" in browser.submit(MAIN, elsewhere).text
    assert browser.submit(MAIN, {**elsewhere, "api_key": KEY}).location == MAIN
    assert services.db.credentials.find_one()["custom_endpoint"] == elsewhere["custom_endpoint"]
    assert "llm.example.com" in browser.page("/providers")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"name": "main", "provider": "openai", "api_key": "sk-2"}, 409),
        ({"name": "a b", "provider": "openai", "api_key": "sk-2"}, 422),
        ({"name": "new", "provider": "openai"}, 422),
        ({"name": "new", "provider": "", "api_key": "sk-2"}, 422),
        ({"name": "new", "provider": "sandbox", "api_key": "sk-2"}, 422),
    ],
)
def test_what_cannot_be_kept_is_told_and_changes_nothing(browser, main, services, given, status):
    assert browser.submit("/providers", given).status_code == status
    (kept,) = services.db.credentials.find()
    assert kept["key_hint"] == KEY[-4:]


def test_the_test_asks_with_this_key_and_nobody_else(browser, user, services):
    asked = browser.submit(f"{MAIN}/test")
    job = services.db.jobs.find_one({"kind": "llm_test"})
    assert f'hx-get="/agents/{user}/test/{job["_id"]}"' in asked.text
    assert [target["holder"] for target in job["plan"]["targets"]] == ["credential:main"]


def test_without_an_agent_that_uses_it_there_is_no_test(browser, main, services):
    assert "No agent uses it yet" in browser.page(MAIN)
    assert browser.submit(f"{MAIN}/test").status_code == 404
    assert services.db.jobs.count_documents({}) == 0


def test_who_uses_a_credential_is_told_before_it_is_deleted(browser, user, services):
    page = browser.page(MAIN)
    assert f'href="/agents/{user}/settings"' in page
    assert "1 agent will not be answered" in page
    assert browser.submit(f"{MAIN}/delete").location == "/providers"
    assert services.db.credentials.count_documents({}) == 0


def test_a_viewer_sees_it_and_may_press_nothing(browser_for, user, past):
    viewer = browser_for("viewer")
    page = viewer.page("/providers") + viewer.page(MAIN)
    assert "openai" in page
    assert not [path for path in forms(page) if path.startswith("/providers") and path != MAIN]
    assert "<fieldset disabled>" in page
