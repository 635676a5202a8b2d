"""Pausing a queue as a person does: its jobs stay; resumed, they are done."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.dashboard.chromium import asked_for, done


def test_a_paused_queue_keeps_its_jobs_until_it_is_resumed(page_for, stack, key_for):
    page, (_, key) = page_for("admin"), key_for("member")
    page.goto("/queues")
    chat = page.locator("tr", has=page.get_by_role("cell", name="chat", exact=True)).first
    chat.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("chat is paused")).to_be_visible()
    expect(chat.get_by_text("paused")).to_be_visible()
    try:
        job = asked_for(stack, key)
        page.reload()
        expect(chat.get_by_role("cell").nth(2)).not_to_have_text("0")
    finally:
        chat.get_by_role("button", name="Resume").click()
    expect(chat.get_by_text("active")).to_be_visible()
    done(stack, key, job)
