"""A tick that an admin runs now."""

from __future__ import annotations

from playwright.sync_api import expect


def test_a_tick_is_asked_for_and_the_leader_takes_the_order(page_for, stack):
    page = page_for("admin")
    with stack.database() as db:
        stack.until(lambda: db.ticks.find_one({"_id": "budgets"}), "it is known")
        page.goto("/scheduler")
        row = page.locator("tr", has=page.get_by_role("cell", name="budgets", exact=True))
        row.get_by_role("button", name="Run now").click()
        expect(page.get_by_text("budgets runs within a few seconds")).to_be_visible()
        stack.until(lambda: db.ticks.find_one({"_id": "budgets", "asked": None}), "it was taken")
