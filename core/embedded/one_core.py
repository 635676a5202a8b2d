"""`python -m core.embedded.one_core PROGRAM …`: becomes the program, which keeps to one of the processors.

A Python program with a thread for each connection hands its interpreter's lock over at each call of a library
in C. Between two processors each of these waits for the other to wake: the embedded MongoDB-compatible server
took 159 ms for 100 rows of the ledger beside chats, of which 33 were work.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys


def keeping(command: list[str]) -> list[str]:
    """The command that becomes this one, on one processor."""
    return [sys.executable, "-m", "core.embedded.one_core", *command]


def main(*command: str) -> None:
    """Become `command`. Which processor is chance: several of these may run. Where none can be chosen
    (macOS), it has them all."""
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # a sandbox that does not let us
            os.sched_setaffinity(0, {random.choice(sorted(os.sched_getaffinity(0)))})  # noqa: S311
    os.execv(command[0], command)  # noqa: S606 - there is no shell to go through


if __name__ == "__main__":
    main(*sys.argv[1:])
