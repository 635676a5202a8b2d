"""Processes, as /proc shows them: who is who, whose they are, what they use. Linux alone.

A process is known by its pid and its start time: a pid alone may be another process's by now. What belongs
to an instance carries its mark, `VUTLER_INSTANCE`, in its environment, whatever became of its parents; which
of the marks are ours, `core.runtime.marks` tells. A process in state Z is dead.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
MARK = "VUTLER_INSTANCE"
NAMED = f"{MARK}=".encode()
MB = 1024 * 1024
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
THREADS, STARTED = 17, 19
"""Their places in /proc/<pid>/stat, counted from what follows the name: proc(5)."""


@dataclass(frozen=True, order=True)
class Process:
    """`started`: ticks since the machine was booted."""

    pid: int
    started: int


@dataclass(frozen=True)
class Stat:
    """A line of /proc/<pid>/stat: proc(5). `cpu`: ticks that it has used."""

    process: Process
    parent: int
    group: int
    session: int
    cpu: int


def stat(pid: int) -> Stat | None:
    """None for a pid that is nobody's, or a dead process's."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX" and int(fields[THREADS]) <= 1:
        return None  # while other threads go on, it holds its files and ports, and nobody can reap it
    parent, group, session = map(int, fields[1:4])
    return Stat(Process(pid, int(fields[STARTED])), parent, group, session, int(fields[11]) + int(fields[12]))


def process(pid: int) -> Process | None:
    """The living process of this pid."""
    found = stat(pid)
    return found.process if found else None


def alive(one: Process) -> bool:
    """Does it live, and is it still the same?"""
    return process(one.pid) == one


def noted(file: Path) -> Process | None:
    """The process that `launch` wrote down in this file, whether it lives or not."""
    try:
        pid, started = file.read_text().split()
        return Process(int(pid), int(started))
    except (OSError, ValueError):
        return None


def everybody() -> dict[int, Stat]:
    """All living processes, by pid."""
    return {found.process.pid: found for pid in _pids() if (found := stat(pid)) is not None}


def marked(below: str) -> dict[str, set[Process]]:
    """Processes that carry a mark which begins so, by mark, whoever put it on them.

    Those of other users cannot be read.
    """
    found: defaultdict[str, set[Process]] = defaultdict(set)
    wanted = NAMED + below.encode()
    for pid in _pids():
        with contextlib.suppress(OSError):
            environment = (PROC / str(pid) / "environ").read_bytes()
            if wanted not in environment:
                continue
            whose = next((line for line in environment.split(b"\0") if line.startswith(wanted)), None)
            one = process(pid)
            if whose is not None and one is not None:
                found[whose.removeprefix(NAMED).decode(errors="replace")].add(one)
    return dict(found)


def family(roots: Iterable[Process], all_of_them: dict[int, Stat] | None = None) -> set[Process]:
    """These processes, their groups and sessions, and whatever they started; the living ones."""
    everyone = everybody() if all_of_them is None else all_of_them
    members = {root.pid for root in roots if root.pid in everyone and everyone[root.pid].process == root}
    leaders = {root.pid for root in roots}
    grown = True
    while grown:
        more = {
            pid
            for pid, one in everyone.items()
            if pid not in members and (one.parent in members or {one.group, one.session} & leaders & members)
        }
        members |= more
        grown = bool(more)
    return {everyone[pid].process for pid in members}


def memory_mb(those: Iterable[Process]) -> float:
    """What they use together. Shared pages are counted once where the system tells (PSS)."""
    return round(sum(_memory(one.pid) for one in those) / MB, 1)


def cpu_s(those: Iterable[Process]) -> float:
    """Seconds of processor time that they have used so far."""
    return sum(found.cpu for one in those if (found := stat(one.pid)) is not None) / TICKS


def send(those: Iterable[Process], number: signal.Signals) -> int:
    """Send a signal to the very processes that are meant; how many got it."""
    return sum(_send(one, number) for one in those)


def available_mb() -> float:
    """Memory that could be given to new processes without swapping (MemAvailable)."""
    for line in (PROC / "meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    return 0.0


def boot() -> str:
    """Since when this machine runs: start times and ports of another boot mean nothing."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir(PROC) if name.isdecimal())


def _memory(pid: int) -> int:
    """Bytes; 0 for a process that has just ended."""
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        with contextlib.suppress(OSError):
            return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE
    return 0


def _send(one: Process, number: signal.Signals) -> bool:
    """Through a pidfd: between the look and the signal the pid cannot become somebody else's."""
    try:
        handle = os.pidfd_open(one.pid)
    except OSError:
        return False
    try:
        if not alive(one):
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
