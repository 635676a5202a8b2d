"""Repricing from the command line: says what it would do, and does it when told to."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.metering import prices
from tests.core.metering.rows import at, put, row

COMMAND = ("reprice", "--workspace", "w1", "--from", "2026-11-01", "--to", "2026-11-30")


@pytest.fixture
def dearer(db):
    """Two calls of a model that had no price, and now has one."""
    db.workspaces.insert_one({"_id": "w1"})
    put(db, [row(at(when), model="of my own", tokens=(1000, 500)) for when in ("2026-11-03", "2026-11-24")])
    rates = {"input": Decimal(1), "output": Decimal(2)}
    prices.set_for_workspace(db, "w1", "openai", "of my own", rates, "2026-11-24")


def test_it_says_what_it_would_do_and_does_it_when_told_to(run, db, dearer):
    code, lines, _ = run(*COMMAND)
    assert (code, lines[0]) == (0, "openai/of my own: 2 calls, 2 were unknown, 0 -> 0.004 USD (0.004)")
    assert "--apply" in lines[1]
    assert db.token_usage.count_documents({}) == 2
    assert run(*COMMAND, "--apply")[0] == 0
    assert db.token_usage.count_documents({}) == 4
    assert run(*COMMAND, "--apply") == (0, ["nothing to correct"], "")


def test_it_refuses_a_workspace_that_is_not_there(run):
    assert run(*COMMAND) == (1, [], "vutler: no such workspace\n")
