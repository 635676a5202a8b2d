"""A job of a kind that asks no provider: its agent's rules hold for it, and nothing else does."""

from __future__ import annotations

import pytest

from core.agents import agents
from core.errors import Invalid
from core.jobs import kinds
from tests import echo
from web.context import db, workspace_id
from web.doors import work


@pytest.fixture
def inside(app, client_for, monkeypatch):
    """Within a request of a key that may use next to nothing."""
    monkeypatch.setitem(kinds.KINDS, "echo", echo.ROW)
    poor = client_for("member", tpm=1, budget_usd=0.000001)
    poor.post("/agents", {"name": "bare", "on_worker_loss": "fail", "content_retention": "none"})
    with app.test_request_context("/api/v1/agents", method="POST", headers=poor.headers):
        app.preprocess_request()
        yield agents.named(db(), workspace_id(), "agent:bare")


def test_it_needs_no_provider_reserves_nothing_and_keeps_to_its_agents_rules(inside):
    job, made = work.accepted(work.draft("echo", inside, {"say": "hi"}), inside)
    assert (made, job["request"]) == (True, {"say": "hi"})
    assert job["plan"] == {"on_worker_loss": "fail", "content_retention": "none"}


def test_a_kind_that_asks_one_is_refused(inside):
    with pytest.raises(Invalid, match="no provider yet"):
        work.draft("chat", inside, {"messages": []})
