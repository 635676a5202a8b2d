"""Floods: those that never wait get a part of the process's time all together, however many they are."""

from __future__ import annotations

import pytest

from core.outbound import connections


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(connections.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("n", [1, 10, 100])
def test_many_floods_run_no_longer_than_one(clock, n):
    floods, ran, due = connections._Floods(), 0.0, dict.fromkeys(range(n), 100.0)
    while clock[0] < 110.0:
        flood = min(due, key=due.get)
        clock[0] = max(clock[0], due[flood]) + connections.MOST_S
        ran += connections.MOST_S
        due[flood] = clock[0] + floods.rest(connections.MOST_S)
    assert ran <= 10.0 / connections.REST + n * connections.MOST_S


def test_what_a_flood_waited_for_others_is_not_counted(clock):
    assert connections._Floods().rest(9.0) == pytest.approx(connections.REST * connections.MOST_S)
