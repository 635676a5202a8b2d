"""Sketches: quantiles near enough, and the same whether added up or made at once."""

import random

from core import sketch


def test_a_quantile_is_off_by_less_than_five_percent():
    random_ = random.Random(7)
    durations = [int(random_.lognormvariate(6, 1.5)) + 1 for _ in range(2000)]
    exact = sorted(durations)
    for share in (0.5, 0.95, 1.0):
        right = exact[min(int(share * len(exact)), len(exact) - 1)]
        assert abs(sketch.quantile(sketch.of(durations), share) - right) <= max(0.05 * right, 1)


def test_sketches_added_up_are_the_sketch_of_all():
    first, second = [3, 40, 40, 900], [40, 7_000, 10**12]
    assert sketch.merged([sketch.of(first), sketch.of(second)]) == sketch.of(first + second)


def test_nothing_has_no_quantile_and_no_time_at_all_has_one():
    assert sketch.quantile({}, 0.95) is None
    assert sketch.quantile(sketch.of([0, 0]), 0.95) == 1
