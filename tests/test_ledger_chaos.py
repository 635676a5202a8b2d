"""Workers are killed and frozen, Redis restarts: every call is in the books once, or is named."""

from __future__ import annotations

from tests.ledger_run import Plan, balance, run


def test_every_call_is_accounted_for_by_id(tmp_path):
    books = run(tmp_path, Plan(jobs=80, clients=8, workers=2, kill_every_s=1.5, redis_restarts=1))
    figures = balance(books)
    assert figures["jobs"] == 80
    assert 0 < figures["in_a_row"] < 80, "by places and by marks, both"
    assert figures["kills"] > 0
    assert figures["rows_kept"] >= figures["succeeded"] > 0
