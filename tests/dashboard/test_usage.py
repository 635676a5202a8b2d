"""Usage as a person sees it: in their days, stacked as they choose, from the call that they just made."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.dashboard.chromium import asked_for, done
from tests.waiting import until


def test_a_call_is_seen_in_the_viewers_days_and_can_be_cut_by_agent(page_for, stack, key_for):
    page = page_for("member", timezone_id="Pacific/Auckland")
    _, key = key_for("member")
    done(stack, key, asked_for(stack, key))
    page.goto("/usage?period=day")
    expect(page.get_by_text("Days are those of Pacific/Auckland")).to_be_visible()
    until(lambda: counted(page), "the ledger has the call")
    page.get_by_label("Stacked by").select_option("agent")
    page.wait_for_url("**/usage?*by=agent*")
    expect(page.get_by_role("cell", name="scout")).to_be_visible()


def counted(page):
    page.reload()
    return page.locator(".tile", has_text="Calls").locator("strong").inner_text() == "1"
