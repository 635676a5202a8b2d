"""Keys as a person handles them: shown once, copied, used; and revoked, by which they are out themselves."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.dashboard.chromium import opened, sign_in


def test_a_key_is_made_shown_once_and_signs_in(page_for, browser, stack):
    page = page_for("admin")
    page.goto("/settings")
    page.get_by_role("link", name="New key").click()
    page.get_by_label("Name").fill("CI")
    page.get_by_label("Requests a minute").fill("0")
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("form .problem li")).to_have_text("Requests a minute: must be at least 1")
    expect(page.locator("form .problem p")).to_have_count(0)
    expect(page.locator("[aria-invalid]")).to_have_attribute("name", "rpm")
    page.get_by_label("Requests a minute").fill("120")
    expect(page.locator("[aria-invalid]")).to_have_count(0)
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("it is shown this once")).to_be_visible()
    text = page.locator(".once code").inner_text()
    other = opened(browser, page.url.partition("/settings")[0])
    sign_in(other.page, text)
    expect(other.page.get_by_role("heading", name="Overview")).to_be_visible()
    other.page.context.close()
    page.get_by_role("link", name="I have it").click()
    expect(page.get_by_label("Requests a minute")).to_have_value("120")
    expect(page.locator("body")).not_to_contain_text(text)


def test_whoever_revokes_their_own_key_is_out(page_for):
    page = page_for("admin")
    page.goto(f"/settings/keys/{page_for.seen[0].key['_id']}")
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("button", name="Revoke")).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_viewer_is_shown_the_keys_and_no_button(page_for):
    page = page_for("viewer")
    page.goto("/settings")
    page.get_by_role("row", name="yours").get_by_role("link").click()
    expect(page.get_by_text(page_for.seen[0].key["_id"])).to_be_visible()
    expect(page.locator("main").get_by_role("button")).to_have_count(0)
