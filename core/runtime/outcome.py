"""What a look at a process means, how one ended in words, how long to wait before the next try. Pure."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FIRST_S = 1.0
LONGEST_S = 300.0
LONGEST_LINE = 300
UNREADY_LOOKS = 2
"""So many looks in a row without an answer make an agent unhealthy."""
HUNG_LOOKS = 10
"""After so many it is taken for hung, and started anew."""
AT_ONCE = 1.5
"""Of the memory limit: an agent that uses more is restarted in the midst of its work."""

TOO_LARGE, HUNG, UNWELL, RECOVERED = "too_large", "hung", "unwell", "recovered"


@dataclass(frozen=True)
class Look:
    """`problem`: why it is not ready; `unready`: how often in a row. `idle` is asked where it matters."""

    problem: str | None
    unready: int
    memory_mb: float
    limit_mb: float
    idle: Callable[[], bool]
    unhealthy: bool


def finding(look: Look) -> tuple[str | None, str | None]:
    """What is to be done about it, and why, in words."""
    if _too_large(look):
        return TOO_LARGE, f"it used {look.memory_mb:.0f} MB; {look.limit_mb:.0f} are allowed"
    if look.unready >= HUNG_LOOKS:
        return HUNG, f"no answer at {look.unready} looks in a row: {look.problem}"
    if look.problem is None and look.unhealthy:
        return RECOVERED, "it answers again"
    if look.unready >= UNREADY_LOOKS and not look.unhealthy:
        return UNWELL, look.problem
    return None, None


def words(code: int | None, said: Sequence[str]) -> str:
    """`code`: as `Popen.returncode` has it; None: nobody knows. `said`: the last lines of its log."""
    if code is None:
        how = "the process is gone"
    elif code < 0:
        how = f"the process was ended by {_signal(-code)}"
    else:
        how = f"the process ended with exit code {code}"
    last = said[-1].strip()[:LONGEST_LINE] if said else ""
    return f"{how}: {last}" if last else how


def back_off_s(failures: int) -> float:
    """1 s after the first failure, then twice as long each time, up to five minutes."""
    return min(FIRST_S * 2.0 ** min(failures - 1, 20), LONGEST_S)


def _too_large(look: Look) -> bool:
    if look.memory_mb > look.limit_mb * AT_ONCE:
        return True
    return look.memory_mb > look.limit_mb and look.idle()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
