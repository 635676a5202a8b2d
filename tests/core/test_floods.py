"""Floods: those that never wait get a part of the process's time all together, however many they are."""

from __future__ import annotations

import pytest

from core import floods

MOST_S = 0.005


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(floods.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("n", [1, 10, 100])
def test_many_floods_run_no_longer_than_one(clock, n):
    all_of_them, ran, due = floods.Floods(MOST_S), 0.0, dict.fromkeys(range(n), 100.0)
    while clock[0] < 110.0:
        flood = min(due, key=due.get)
        clock[0] = max(clock[0], due[flood]) + MOST_S
        ran += MOST_S
        due[flood] = clock[0] + all_of_them.rest(MOST_S)
    assert ran <= 10.0 / floods.REST + n * MOST_S


def test_what_a_flood_waited_for_others_is_not_counted(clock):
    assert floods.Floods(MOST_S).rest(9.0) == pytest.approx(floods.REST * MOST_S)
