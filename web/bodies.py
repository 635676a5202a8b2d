"""Large bodies: some at once of each workspace, counted while they come, and parsed one after another.

What is not read yet waits at the client, and takes no memory here.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import TooLarge, Unavailable
from core.heavy import LIGHT, Heavy
from core.json_values import Values
from core.store.free_json import MOST_VALUES
from web.turns import others_first

AT_ONCE = 32
"""With the largest bodies, 320 MB of a web process."""
SHARE = 8


class Bodies:
    """The large bodies of a web process: `at_once` are read at a time, `share` of them for each workspace.

    One that does not get its turn within `within_s` seconds is refused.
    """

    def __init__(self, within_s: float, *, at_once: int = AT_ONCE, share: int = SHARE) -> None:
        self._heavy = Heavy()
        self._within_s = within_s
        self._at_once = at_once
        self._share = share
        self._read: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def place(self, whose: str) -> Iterator[None]:
        """Inside, one of them is read. Raises `Unavailable`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free(whose), self._within_s):
                raise _later()
            self._read[whose] += 1
        try:
            yield
        finally:
            with self._changed:
                self._read[whose] -= 1
                self._read += Counter()  # forgets those who have none
                self._changed.notify_all()

    @contextmanager
    def turn(self, whose: str, size: int) -> Iterator[None]:
        """Inside, one of so many bytes is parsed and understood. Raises `Unavailable`."""
        try:
            with self._heavy.turn(whose, size, self._within_s):
                yield
                others_first()  # others are served before its job is made
        except TimeoutError:
            raise _later() from None

    def _free(self, whose: str) -> bool:
        return self._read.total() < self._at_once and self._read[whose] < self._share


def rest(raw: bytes, read: Callable[[int], bytes]) -> bytes:
    """A large body, whose beginning this is. Raises `TooLarge` as soon as it holds too many values.

    No small body holds as many.
    """
    values, pieces = Values(), [raw]
    while pieces[-1]:
        values.feed(pieces[-1])
        if values.seen > MOST_VALUES:
            raise TooLarge(f"the body holds more than {MOST_VALUES} values and names")
        others_first()  # a body that has come already is read without a wait
        pieces.append(read(LIGHT))
    return b"".join(pieces)


def _later() -> Unavailable:
    return Unavailable("too many large bodies at once; send some of them later")
