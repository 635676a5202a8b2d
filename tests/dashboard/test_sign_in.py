"""Signing in with a key, as a person does; and being out when that key was revoked."""

from __future__ import annotations

from playwright.sync_api import expect

from core.accounts import keys
from tests.dashboard.chromium import opened


def test_a_key_opens_the_pages_and_signing_out_closes_them(page_for):
    page = page_for("member")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.goto("/usage")
    expect(page.get_by_label("API key")).to_be_visible()


def test_whoever_was_going_somewhere_gets_there_once_signed_in(browser, stack, key_for):
    watched = opened(browser, f"http://{stack.host}:{stack.port}")
    watched.page.goto("/usage?period=week")
    watched.page.get_by_label("API key").fill(key_for("viewer")[1])
    watched.page.get_by_role("button", name="Sign in").click()
    watched.page.wait_for_url("**/usage?period=week")
    watched.page.context.close()


def test_an_open_page_is_out_soon_after_its_key_was_revoked(page_for, stack):
    page = page_for("member")
    with stack.database() as db, stack.redis() as client:
        keys.revoke(db, page_for.seen[0].key)
        client.publish("vutler:jobs", "some-job")
    expect(page.get_by_label("API key")).to_be_visible()
