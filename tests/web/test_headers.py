"""Headers of every answer: what a browser may do with it, and which origins may ask."""

from __future__ import annotations

import pytest

from tests.web.conftest import ADMIN
from tests.web_client import Client
from web.app import create_app

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


@pytest.fixture
def app_with(services, watcher, app):
    def make(**changes):
        services.settings = services.settings.model_copy(update=changes)
        return create_app(services, watcher)

    return make


@pytest.mark.parametrize("path", ["/agents", "/agents/none", "/nowhere", "/healthz"])
def test_every_answer_is_safe_in_a_browser(admin, path):
    headers = admin.get(path).headers
    assert {name: headers[name] for name in SAFE} == SAFE
    assert "Strict-Transport-Security" not in headers


def test_in_production_over_https_it_stays_https(app_with):
    app = app_with(app_env="production", trusted_proxies=1)
    client = Client(app, ADMIN)
    behind_tls = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.1"}
    assert "max-age" in client.get("/agents", headers=behind_tls).headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in client.get("/agents").headers


def test_by_default_no_other_origin_may_ask(admin):
    answer = admin.get("/agents", headers={"Origin": "https://app.example"})
    assert not [name for name in dict(answer.headers) if name.startswith("Access-Control")]


def test_a_named_origin_may_ask_and_another_may_not(app_with):
    client = Client(app_with(cors_origins="https://app.example/, https://two.example"), ADMIN)
    allowed = client.get("/agents", headers={"Origin": "https://app.example"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "RateLimit" in allowed.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    for origin in ("https://evil.example", "https://app.example.evil.example", "null"):
        refused = client.get("/agents", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in refused.headers
        assert "Origin" in refused.headers["Vary"]


def test_a_browser_is_told_beforehand_without_a_key(app_with):
    app = app_with(cors_origins="https://app.example")
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    told = Client(app, None)("OPTIONS", "/agents", headers=asked)
    assert told.status_code == 200
    assert "POST" in told.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in told.headers["Access-Control-Allow-Headers"]
    assert "X-API-Key" in told.headers["Access-Control-Allow-Headers"]


def test_a_refusal_can_be_read_by_the_origin_too(app_with):
    client = Client(app_with(cors_origins="*"), "vtl_wrong")
    refused = client.get("/agents", headers={"Origin": "https://anything.example"})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
