"""Run in front of an agent's program: writes down who it is, sets limits, then becomes the program.

`python -I -S launch.py <file> <limits | none> <command> ...`. The file gets `<pid> <start time>` before the
program begins, so that whoever comes after a crash knows it. Needs the standard library alone, to be quick.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38
START_TIME = 19
"""Where the start time stands in /proc/<pid>/stat, counted from what follows the name. See proc(5)."""
OPEN_FILES = 8192
PROCESSES = 4096
CANNOT_RUN = 127


def main(file: str, limits: str, *command: str) -> None:
    """Never returns."""
    os.umask(0o077)
    if limits == "limits":
        limit()
    write_down(Path(file))
    try:
        os.execvp(command[0], command)  # noqa: S606 - there is no shell to go through
    except OSError as error:
        print(f"vutler: {command[0]} cannot be run: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(CANNOT_RUN)


def limit() -> None:
    """No core dumps (they would hold keys), bounded files and processes, no gain of privileges by setuid."""
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, PROCESSES),
    ):
        _, hard = resource.getrlimit(what)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def write_down(file: Path) -> None:
    """In one step: there is all of it, or nothing."""
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[START_TIME]
    new = file.with_suffix(".new")
    new.write_text(f"{os.getpid()} {started}")
    new.replace(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
