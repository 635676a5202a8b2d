"""Every page, those of the navigation and those that they lead to, as people have to be able to use them."""

from __future__ import annotations

import pytest

from core.accounts import keys
from core.demo import write
from core.demo.people import WORKSPACE
from core.drive import storages
from tests.dashboard import axe, fitting
from tests.dashboard.chromium import opened, sign_in
from tests.dashboard.conftest import MOST_SHIFT
from tests.dashboard.walking import walk
from web.dashboard.pages import PAGES

JOBS = 300


@pytest.fixture(scope="module")
def filled(stack):
    """The text of an admin's key to a workspace with a day of work in it."""
    settings = stack.settings()
    with stack.database() as db:
        write.everything(db, settings, storages.make(settings), n=JOBS)
        return keys.make(db, role="admin", workspace_id=WORKSPACE, created_by="test")[1]


@pytest.fixture
def watched(browser, stack):
    """A page that nobody has signed in on."""
    watched = opened(browser, f"http://{stack.host}:{stack.port}")
    yield watched
    watched.page.context.close()


@pytest.mark.skipif(not axe.AXE.is_file(), reason=axe.HOW)
def test_nothing_keeps_anybody_from_using_a_page_wide_or_narrow_light_or_dark(watched, filled):
    page, seen = watched.page, []
    page.goto("/")
    assert axe.findings(page) == []
    sign_in(page, filled)
    for path in walk(page):
        assert (path, axe.findings(page), fitting.cut(page)) == (path, [], [])
        watched.check(MOST_SHIFT)
        seen.append(path)
    assert {row.path for row in PAGES} <= set(seen)
    assert len(seen) > 2 * len(PAGES)
    page.keyboard.press("?")
    assert axe.findings(page) == []
    page.goto("/jobs/none")
    assert axe.findings(page) == []


@pytest.mark.parametrize("size", ["narrow", "laptop"])
def test_each_page_of_the_navigation_is_shown_without_scrolling_it_sideways(browser, stack, filled, size):
    watched = opened(browser, f"http://{stack.host}:{stack.port}", size=size)
    sign_in(watched.page, filled)
    for row in PAGES:
        watched.page.goto(row.path)
        assert (row.path, fitting.too_wide(watched.page)) == (row.path, [])
    watched.page.context.close()
