"""Windows of time, backwards: narrow at first and then wider, so that each holds few documents. Pure.

Nobody knows how many a window will hold. One behind a window that held many is no wider. Where documents are
marked now and then (`core.store.marks`), a wide window reaches no further than a few marks: then a day in
which nothing was done and the busy minute before it are not read together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from core.clock import utcnow

Places = Callable[[datetime, datetime], Sequence[datetime]]
"""When the marked documents from a time on and before another were made, newest first."""

FIRST = timedelta(seconds=1)
GROWTH = 4
WIDE = timedelta(minutes=1)
MANY = 100
"""A window that held more was wide enough: the embedded server needs some 40 us for each, 1 ms for a look."""
MARKS = 2
FORESIGHT = timedelta(hours=1)
"""So far back marks are asked for at first; where too few are known, each time eight times as far."""
OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
"""Where a clock begins that nobody has set yet: what was made by it must be found, too."""
AHEAD = timedelta(days=1)
"""A document's time may be so far ahead of this clock. The calendar's last days cannot be reckoned with."""
NO_PLACES: Places = lambda *_: ()  # noqa: E731


def back(
    upper: datetime,
    oldest: datetime,
    places: Places = NO_PLACES,
    edge: datetime | None = None,
    now: datetime | None = None,
    held: Callable[[], int] = lambda: 0,
) -> Iterator[tuple[datetime, datetime]]:
    """(low, high) from `upper` back to `oldest`, each beginning where the one before ended.

    `edge`: where something was found before. Behind it they are narrow again. `held`: how many the last had.
    """
    width = FIRST + max(upper - (now or utcnow()), timedelta(0))  # what lies ahead of us is empty
    high, known, marked, reach = upper, upper, list[datetime](), FORESIGHT
    while high >= oldest:
        low = high - width if high - oldest > width else oldest
        if high - low > WIDE:
            known, marked = min(known, high), [at for at in marked if at < high]
            while low < known and len(marked) < MARKS:
                since = known - reach if known - oldest > reach else oldest
                marked, known, reach = [*marked, *places(since, known)], since, reach * 8
            low = max(low, marked[MARKS - 1]) if len(marked) >= MARKS else low
        if edge is not None and low < edge < high:
            low, width = edge, FIRST / GROWTH
        yield low, high
        if low == oldest:
            return
        high, width = low, width if held() > MANY else min(width * GROWTH, upper - oldest)
