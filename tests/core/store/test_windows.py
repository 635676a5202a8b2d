"""Windows: all of the time, once, backwards; narrow where much was done."""

from datetime import UTC, datetime, timedelta

from core.store.windows import FIRST, MANY, MARKS, WIDE, back

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=40)


def test_they_cover_all_of_the_time_once():
    found = list(back(NOW, OLD, now=NOW))
    assert (found[0][1], found[-1][0]) == (NOW, OLD)
    assert [low for low, _ in found[:-1]] == [high for _, high in found[1:]]
    assert found[0][0] == NOW - FIRST
    assert len(found) < 15


def test_what_lies_ahead_of_now_makes_the_first_no_wider_behind_it():
    ahead = NOW + timedelta(minutes=1)
    assert next(back(ahead, OLD, now=NOW)) == (NOW - FIRST, ahead)


def test_a_moment_has_one_and_what_is_over_has_none():
    assert list(back(NOW, NOW, now=NOW)) == [(NOW, NOW)]
    assert list(back(OLD, NOW, now=NOW)) == []


def test_the_beginning_of_the_calendar_is_no_error():
    first = datetime(1, 1, 1, tzinfo=UTC)
    assert list(back(NOW, first, now=NOW))[-1][0] == first


def test_a_wide_one_reaches_no_further_than_a_few_marks():
    busy = NOW - timedelta(days=10)
    marked = [busy - timedelta(seconds=n) for n in range(50)]
    found = list(back(NOW, OLD, lambda since, before: [at for at in marked if since <= at < before], now=NOW))
    assert found[-1][0] == OLD
    held = [sum(low <= at < high for at in marked) for low, high in found if high - low > WIDE]
    assert sum(held) > 0
    assert max(held) <= MARKS


def test_marks_are_asked_for_once_and_only_as_far_back_as_they_are_needed():
    asked = []
    windows = back(NOW, OLD, lambda *span: asked.append(span) or [], now=NOW)
    wide = next(low for low, high in windows if high - low > WIDE)
    assert len(asked) == 1
    assert wide - asked[0][0] < timedelta(hours=2)
    list(windows)
    assert asked[-1][0] == OLD
    assert [low for low, _ in asked[:-1]] == [high for _, high in asked[1:]]
    assert len(asked) < 8


def test_while_enough_marks_are_known_no_more_are_asked_for():
    asked = []
    marked = [NOW - timedelta(seconds=10 * n) for n in range(1, 40)]
    known = lambda since, before: asked.append(since) or [at for at in marked if since <= at < before]  # noqa: E731
    windows = back(NOW, OLD, known, now=NOW)
    spans = [next(windows) for _ in range(10)]
    assert NOW - spans[-1][0] > timedelta(minutes=2)
    assert len(asked) == 1


def test_behind_an_edge_they_are_narrow_again():
    edge = NOW - timedelta(days=10)
    found = list(back(NOW, OLD, edge=edge, now=NOW))
    at = next(n for n, (low, _) in enumerate(found) if low == edge)
    assert found[at + 1] == (edge - FIRST, edge)
    assert [low for low, _ in found[:-1]] == [high for _, high in found[1:]]
    assert found[-1][0] == OLD


def test_behind_one_that_held_many_they_are_no_wider():
    held = iter([0, MANY, MANY + 1, MANY + 1, 0, *[0] * 20])
    found = list(back(NOW, OLD, now=NOW, held=lambda: next(held)))
    widths = [(high - low) / FIRST for low, high in found]
    assert widths[:6] == [1, 4, 16, 16, 16, 64]
    assert [low for low, _ in found[:-1]] == [high for _, high in found[1:]]
