"""Numbers, money and times in words."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.clock import utcnow
from web.dashboard.frame import formats


@pytest.mark.parametrize(
    ("usd", "said"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (1234.5, "$1,234.50"),
        (0.976, "$0.98"),
        (0.0221, "$0.0221"),
        (Decimal("0.0000048"), "$0.0000048"),
    ],
)
def test_money_has_its_currency_and_enough_digits(usd, said):
    assert formats.money(usd) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (-0.5, "now"),
        (45, "45 s ago"),
        (200, "3 min ago"),
        (7300, "2 h ago"),
        (-90, "in 1 min"),
    ],
)
def test_a_time_is_told_in_its_largest_unit(seconds, said, monkeypatch):
    now = utcnow()
    monkeypatch.setattr(formats, "utcnow", lambda: now)
    assert formats.ago(now - timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("value", "said"), [(None, "–"), (12345, "12,345"), (1.2, "1.2"), (0.256, "0.26"), (100.4, "100")]
)
def test_a_number_has_no_digits_that_say_nothing(value, said):
    assert formats.number(value) == said


@pytest.mark.parametrize(
    ("ms", "said"), [(None, "–"), (423.4, "423 ms"), (4200, "4.2 s"), (200_000, "3 min")]
)
def test_a_duration_is_told_in_its_unit(ms, said):
    assert formats.millis(ms) == said


@pytest.mark.parametrize(("share", "said"), [(None, "–"), (1, "100 %"), (0.992, "99.2 %"), (0, "0 %")])
def test_a_share_is_told_in_per_cent(share, said):
    assert formats.percent(share) == said


@pytest.mark.parametrize(("count", "said"), [(999, "999 B"), (4_200_000, "4.2 MB"), (123_000, "123 kB")])
def test_a_size_is_told_in_its_unit(count, said):
    assert formats.size(count) == said


@pytest.mark.parametrize(
    ("identifier", "said"),
    [("01a22220-5b3c-7000-8000-00001f2e3d4c", "1f2e3d4c"), ("runtime:demo", "runtime:demo"), (None, "–")],
)
def test_an_id_is_told_by_its_end_and_by_what_it_is_of(identifier, said):
    assert formats.short(identifier) == said
