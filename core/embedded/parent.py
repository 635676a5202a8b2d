"""Ending with the parent: a process that a supervisor started ends when the supervisor is killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PROC = Path("/proc")
KILLED_WITHIN_S = 5.0


def die_with_parent(parent: int, how: int = signal.SIGTERM) -> None:
    """Ask the kernel for a signal when the parent dies; it survives exec. Does nothing but on Linux.

    `parent`: the process that means to be ours; it may have died before we could ask.
    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    if not _prctl(PR_SET_PDEATHSIG, how):
        return
    if os.getppid() != parent:
        sys.exit(0)


def adopt_orphans() -> None:
    """Become the parent of whatever a supervisor of ours leaves behind when it is killed.

    Source: prctl(2), PR_SET_CHILD_SUBREAPER. Does nothing but on Linux.
    """
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def reap(but: int) -> None:
    """Take leave of adopted processes that have ended. `but`: a child that somebody else waits for."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid == but:
            return
        os.waitpid(ended.si_pid, 0)


def end_orphans(deadline: float) -> None:
    """Wait for adopted processes: their parent's death told them to end. At `deadline` they are killed.

    One that is stuck in the kernel is left behind.
    """
    while time.monotonic() < deadline + KILLED_WITHIN_S:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            if time.monotonic() > deadline:
                _kill_children()
            time.sleep(0.05)


def children(of: int) -> list[int]:
    """The processes whose parent is this one. None but on Linux."""
    found = []
    for entry in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # one that has just ended
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == of:
                found.append(int(entry.name))
    return found


def command(pid: int) -> str:
    """The command line of a process; empty for one that has ended."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _kill_children() -> None:
    for pid in children(os.getpid()):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, signal.SIGKILL)


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    return True


def main(parent: str, variables: str, *command: str) -> None:
    """Become `command`, which ends with the parent and sees these variables alone.

    `python -m core.embedded.parent $PPID PATH,HOME valkey-server …`
    """
    die_with_parent(int(parent))
    seen = {name: os.environ[name] for name in variables.split(",") if name in os.environ}
    os.execvpe(command[0], command, seen)  # noqa: S606 - there is no shell to go through


if __name__ == "__main__":
    main(*sys.argv[1:])
