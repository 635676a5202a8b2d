"""Ending with the parent: whatever a supervisor started must not outlive a supervisor that was killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(how: int = signal.SIGTERM) -> None:
    """Ask the kernel for a signal when the parent dies; it survives exec. Does nothing but on Linux.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, how, 0, 0, 0)
    if os.getppid() != parent:  # it died while we asked
        sys.exit(0)


def main(command: list[str]) -> None:
    """Become `command`, ending with the parent: `python -m core.embedded.parent valkey-server …`."""
    die_with_parent()
    os.execvp(command[0], command)  # noqa: S606 - there is no shell to go through


if __name__ == "__main__":
    main(sys.argv[1:])
