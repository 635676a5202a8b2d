"""A tick that an admin runs now."""

from __future__ import annotations

from playwright.sync_api import expect


def test_a_tick_is_run_now(page_for, stack):
    page = page_for("admin")
    with stack.database() as db:
        stack.until(lambda: db.ticks.find_one({"_id": "drive_verify"}), 60, "it is known")
        before = db.ticks.find_one({"_id": "drive_verify"})["last_run"]
        page.goto("/scheduler")
        row = page.locator("tr", has=page.get_by_role("cell", name="drive_verify", exact=True))
        row.get_by_role("button", name="Run now").click()
        expect(page.get_by_text("drive_verify runs within a few seconds")).to_be_visible()
        stack.until(
            lambda: db.ticks.find_one({"_id": "drive_verify"})["last_run"] != before, 60, "it has run"
        )
