"""Work behind whoever hands it over: how much at once, what becomes of a failure."""

from __future__ import annotations

import pytest

from core.drive.behind import Behind
from core.errors import StorageFull


class Later:
    """Begins nothing until somebody waits for it; tells what is open, and the most that ever was."""

    def __init__(self) -> None:
        self.open = self.most = 0

    def __call__(self, work):
        self.open += 1
        self.most = max(self.most, self.open)

        def wait():
            self.open -= 1
            return work()

        return wait


def full():
    raise StorageFull


def test_so_much_is_under_way_and_no_more():
    beside, done = Later(), []
    behind = Behind(beside, 3)
    for n in range(10):
        behind.do(lambda n=n: done.append(n))
    assert (beside.open, beside.most) == (3, 3)
    behind.done()
    assert (beside.open, done) == (0, list(range(10)))


def test_a_failure_is_told_with_later_work_or_at_the_end():
    behind = Behind(Later(), 1)
    behind.do(full)
    with pytest.raises(StorageFull):
        behind.do(list)
    behind.do(full)
    with pytest.raises(StorageFull):
        behind.done()


def test_what_is_given_up_is_waited_for_and_its_failures_are_nobodys():
    beside, done = Later(), []
    behind = Behind(beside, 3)
    behind.do(full)
    behind.do(lambda: done.append(1))
    behind.given_up()
    assert (beside.open, done) == (0, [1])
