"""Every write of every page, as the app's table of routes has them: whom it refuses."""

from __future__ import annotations

import re

import pytest

from core.accounts import keys
from tests.web.dashboard.browser import Browser
from tests.web_client import is_page
from web import access

READS = {"GET", "HEAD", "OPTIONS"}
OWN = {("POST", "/sign-out")}


@pytest.fixture
def writes(app, objects):
    """(method, rule, path with objects filled in) of each write that needs a session."""
    found = []
    for rule in app.url_map.iter_rules():
        says = access.of(app.view_functions[rule.endpoint])
        if not is_page(rule) or says.public:
            continue
        assert rule.arguments <= set(objects), f"{rule.rule} has a parameter that `objects` does not know"
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda m: objects[m[1]], rule.rule)
        found += [(method, rule.rule, path) for method in rule.methods - READS]
    assert found
    return found


def answers(browser, writes, token, **headers):
    for method, rule, path in writes:
        yield (
            f"{method} {rule}",
            browser.client.open(path, method=method, headers={"X-CSRF": token, **headers}),
        )


def test_a_viewer_may_press_nothing(browser_for, writes):
    viewer = browser_for("viewer")
    others = [write for write in writes if write[:2] not in OWN]
    assert others
    for route, answer in answers(viewer, others, viewer.token()):
        assert answer.status_code == 403, route


def test_what_a_viewer_may_press_is_their_own_session(app):
    own = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - READS
        if is_page(rule) and access.of(app.view_functions[rule.endpoint]).own
    }
    assert own == OWN


@pytest.mark.parametrize("token", ["", "x", "salt.", ".", "é.é", "0011223344556677." + "0" * 64])
def test_a_write_without_the_pages_token_does_nothing(browser_for, writes, token):
    admin = browser_for("admin")
    for route, answer in answers(admin, writes, token.encode().decode("latin-1")):
        assert answer.status_code == 403, route
    assert "Overview" in admin.page("/")


def test_the_token_of_another_session_does_nothing(browser_for, writes):
    token = browser_for("admin").token()
    for route, answer in answers(browser_for("admin"), writes, token):
        assert answer.status_code == 403, route


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_write_from_another_site_does_nothing_even_with_the_token(browser_for, writes, headers):
    admin = browser_for("admin")
    for route, answer in answers(admin, writes, admin.token(), **headers):
        assert answer.status_code == 403, route


def test_another_site_signs_nobody_in(app, services):
    _, text = keys.make(services.db, role="member", created_by="test")
    answer = Browser(app).sign_in(text, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_without_a_session_nothing_is_written(app, writes):
    for route, answer in answers(Browser(app), writes, "x"):
        assert (answer.status_code, answer.location) == (303, "/"), route


def test_after_its_key_was_revoked_a_session_writes_nothing(browser_for, services, writes):
    admin = browser_for("admin")
    token = admin.token()
    keys.revoke(services.db, admin.key)
    for route, answer in answers(admin, writes, token):
        assert (answer.status_code, answer.location) == (303, "/"), route


def test_a_write_is_never_a_get(app):
    """A link or an image of another site asks with the cookie: what it asks for must change nothing."""
    pages = [rule for rule in app.url_map.iter_rules() if is_page(rule)]
    assert pages
    for rule in pages:
        methods = rule.methods - {"HEAD", "OPTIONS"}
        assert methods in ({"GET"}, {"POST"}), rule.rule
