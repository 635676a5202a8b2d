"""Pages without a pointer, and without JavaScript."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.dashboard.chromium import opened, sign_in
from web.dashboard.pages import PAGES


def test_the_keyboard_searches_shows_its_keys_and_turns_pages(page_for):
    page = page_for("member")
    expect(
        page.get_by_role("button", name="Keyboard shortcuts")
    ).to_be_visible()  # it is, once keys are heard
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("u")
    page.wait_for_url("**/usage")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search jobs")).to_be_focused()
    page.keyboard.type("none-has-this")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No job matches")).to_be_visible()


def test_every_page_is_read_without_javascript(browser, stack, key_for):
    page = opened(browser, f"http://{stack.host}:{stack.port}", java_script_enabled=False).page
    sign_in(page, key_for("admin")[1])
    for row in PAGES:
        page.goto(row.path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=row.title).wait_for()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.context.close()
