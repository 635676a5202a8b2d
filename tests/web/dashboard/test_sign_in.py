"""Signing in and out: a key for a session, a link that works once, and nothing without either."""

from __future__ import annotations

import pytest

from core.accounts import keys, sessions
from tests.web.conftest import ADMIN
from tests.web.dashboard.browser import Browser
from web.auth import PUBLIC_BYTES


def test_a_key_signs_in_and_the_cookie_is_out_of_reach_of_scripts(app):
    answer = Browser(app).sign_in(ADMIN)
    assert (answer.status_code, answer.location) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert ADMIN not in cookie


def test_over_tls_the_cookie_stays_there(app):
    assert "Secure" in Browser(app).sign_in(ADMIN, base_url="https://localhost").headers["Set-Cookie"]


def test_signed_out_the_first_page_says_what_this_is(app):
    page = Browser(app).page("/")
    assert "Durable jobs for AI agents" in page
    assert 'href="/docs"' in page
    assert "Overview" not in page


def test_a_wrong_key_is_refused_in_words(app):
    answer = Browser(app).sign_in("vtl_wrong")
    assert answer.status_code == 401
    assert "This API key is not valid" in answer.text
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("key", ["", "é" * 40, "a" * 10_000])
def test_what_cannot_be_a_key_is_refused(app, key):
    assert Browser(app).sign_in(key).status_code == 401


def test_more_than_anybody_signs_in_with_is_not_read(app):
    assert Browser(app).sign_in("a" * PUBLIC_BYTES).status_code == 413


def test_a_key_of_an_agent_does_not_sign_in(app, services):
    _, text = keys.make(services.db, role="agent", agents=["a1"], created_by="test")
    answer = Browser(app).sign_in(text)
    assert answer.status_code == 401
    assert "bound to agents" in answer.text


def test_whoever_guesses_keys_has_to_wait_and_whoever_has_one_does_not(app, services):
    app.extensions["vutler.failed_logins"].per_minute = 3
    browser = Browser(app)
    assert [browser.sign_in("vtl_wrong").status_code for _ in range(4)] == [401, 401, 401, 429]
    assert browser.sign_in(ADMIN).status_code == 303


def test_signing_out_ends_the_session_for_everybody_who_has_its_cookie(app, browser):
    stolen = Browser(app)
    stolen.client.set_cookie("vutler_session", browser.client.get_cookie("vutler_session").value)
    assert "Overview" in stolen.page("/")
    assert browser.submit("/sign-out").location == "/"
    assert "Sign in" in browser.page("/")
    assert "Sign in" in stolen.page("/")


def test_a_viewer_may_sign_out(browser_for):
    viewer = browser_for("viewer")
    assert viewer.submit("/sign-out").status_code == 303
    assert "Sign in" in viewer.page("/")


def test_a_session_ends_with_its_key_at_once(browser, services):
    assert "Overview" in browser.page("/")
    keys.revoke(services.db, browser.key)
    assert "Sign in" in browser.page("/")
    assert browser.get("/live").location == "/?then=%2Flive"


def test_a_session_ends_when_its_key_is_bound_to_agents(app, browser, services):
    code = sessions.make_link(services.db, browser.key)
    keys.change(services.db, browser.key, {"agents": ["a1"]})
    assert "Sign in" in browser.page("/")
    assert browser.get("/live").location == "/?then=%2Flive"
    answer = Browser(app).get(f"/sign-in/{code}")
    assert answer.status_code == 401
    assert "bound to agents" in answer.text


def test_a_link_signs_in_once(app, services):
    key = services.db["keys"].find_one({"role": "admin"})
    code = sessions.make_link(services.db, key)
    first, second = Browser(app), Browser(app)
    assert first.get(f"/sign-in/{code}").status_code == 303
    assert "Overview" in first.page("/")
    answer = second.get(f"/sign-in/{code}")
    assert answer.status_code == 401
    assert "This link was used" in answer.text


def test_whoever_was_going_somewhere_gets_there(app):
    browser = Browser(app)
    sent = browser.get("/workspaces?limit=1")
    assert (sent.status_code, sent.location) == (303, "/?then=%2Fworkspaces%3Flimit%3D1")
    assert 'name="then" value="/workspaces?limit=1"' in browser.page(sent.location)
    answer = browser.client.post("/sign-in", data={"key": ADMIN, "then": "/workspaces?limit=1"})
    assert answer.location == "/workspaces?limit=1"


@pytest.mark.parametrize(
    "then", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "/a\nb"]
)
def test_nobody_is_sent_to_another_site(app, then):
    answer = Browser(app).client.post("/sign-in", data={"key": ADMIN, "then": then})
    assert answer.location == "/"


def test_a_cookie_opens_no_door_of_the_api(browser):
    assert browser.get("/api/v1/agents").status_code == 401
    assert browser.get("/v1/models").status_code == 401


def test_a_key_in_a_header_opens_no_page(app):
    answer = app.test_client().get("/live", headers={"Authorization": f"Bearer {ADMIN}"})
    assert answer.status_code == 303
