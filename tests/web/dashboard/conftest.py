"""Browsers that are signed in."""

from __future__ import annotations

import pytest

from core.accounts import keys, workspaces
from tests.web.dashboard.browser import Browser


@pytest.fixture
def browser_for(app, services):
    """A browser that is signed in with a key of this role: `browser_for("viewer", workspace="other")`."""

    def make(role, *, workspace="default"):
        if services.db.workspaces.find_one({"_id": workspace}) is None:
            workspaces.make(services.db, workspace.title(), workspace)
        browser = Browser(app)
        browser.key, text = keys.make(services.db, role=role, workspace_id=workspace, created_by="test")
        assert browser.sign_in(text).status_code == 303
        return browser

    return make


@pytest.fixture
def browser(browser_for):
    return browser_for("member")
