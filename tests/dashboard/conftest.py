"""Pages in a real Chromium, over the stack that all such tests share, each with a key of its own."""

from __future__ import annotations

import shutil
from contextlib import ExitStack

import pytest

from core.accounts import keys, workspaces
from core.ids import new_id
from tests.dashboard.chromium import HOW, NAME, chromium, opened, sign_in

MOST_SHIFT = 0.05
"""Below this what is seen stands still: half of https://web.dev/articles/cls, read 2026-11."""


@pytest.fixture(scope="module")
def browser():
    """Not for longer than a file: while Playwright is there no other event loop can run in this thread."""
    if shutil.which(NAME) is None:
        pytest.skip(HOW)
    with chromium() as browser:
        yield browser


@pytest.fixture
def workspace(stack):
    """Its id: a workspace of this test alone."""
    with stack.database() as db:
        return workspaces.make(db, "Test", new_id())["_id"]


@pytest.fixture
def key_for(stack, workspace):
    """A key of this role and its text: `key_for("viewer")`."""

    def make(role):
        with stack.database() as db:
            return keys.make(db, role=role, workspace_id=workspace, created_by="test")

    return make


@pytest.fixture
def page_for(browser, stack, key_for):
    """A page that is signed in: `page_for("member")`. It must not do what no page may."""
    seen = []
    with ExitStack() as stop:

        def open_page(role="member", **more):
            watched = opened(browser, f"http://{stack.host}:{stack.port}", **more)
            stop.callback(watched.page.context.close)
            watched.key, text = key_for(role)
            sign_in(watched.page, text)
            seen.append(watched)
            return watched.page

        open_page.seen = seen
        yield open_page
        for watched in seen:
            watched.check(MOST_SHIFT)
