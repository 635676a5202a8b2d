"""Batches: what threads ask for at the same time travels together, in one round trip for all of them."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any

MOST = 100
"""In a batch. A chat with a long history is a megabyte, and a message to a store has 48 at most."""


class One:
    """What one thread asks for. A batch that is carried leaves its `answer` or its `error` here.

    `mine`: the thread that waits for it is to carry the next batch.
    """

    def __init__(self, asked: Any, also: Any) -> None:
        self.asked = asked
        self.also = also
        self.answer: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.mine = False
        self.turn = threading.Event()


class Batches(ABC):
    """While a batch is on its way, the next one gathers. It waits for no clock.

    Whoever comes first lets those go on who can, since they may want the same, and carries the batch for all;
    then whoever waits longest carries the next.
    """

    def __init__(self) -> None:
        self._waiting: deque[One] = deque()
        self._lock = threading.Lock()
        self._under_way = False

    def ask(self, asked: Any, also: Any = None) -> Any:
        """The answer, or what was raised instead. `also`: what a subclass does with its batch."""
        one = One(asked, also)
        with self._lock:
            self._waiting.append(one)
            one.mine, self._under_way = not self._under_way, True
        self._wait(one)
        if not one.done:
            self._carry()
        if one.error is not None:
            raise one.error
        return one.answer

    @abstractmethod
    def carry(self, batch: Sequence[One]) -> None:
        """Ask for all of them. What it raises is raised to each that has no error of its own."""

    def _wait(self, one: One) -> None:
        try:
            if one.mine:
                one.turn.set()
                time.sleep(0)
            one.turn.wait()
        except BaseException:  # this thread is ended: nobody may wait for it to carry anything
            with self._lock:
                if one in self._waiting:
                    self._waiting.remove(one)
            if one.turn.is_set() and not one.done:
                self._pass_on()
            raise

    def _carry(self) -> None:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
        try:
            self.carry(batch)
        except BaseException as error:  # they wait for this thread, whatever ends it
            for one in batch:
                one.error = one.error or error
            if not isinstance(error, Exception):
                raise
        finally:
            for one in batch:
                one.done = True
                one.turn.set()
            self._pass_on()

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting[0].turn.set()
            else:
                self._under_way = False
