"""Starting an agent's program: in a session of its own, with a clean environment, known from the start on.

In front of it runs `launch.py`, which writes down who it is; then, if there is one, the operator's wrapper.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from core.runtime import launch, log_file
from core.runtime.folder import Folder
from core.runtime.processes import MARK

LAUNCH = str(Path(launch.__file__).resolve())
EACH_VARIABLE = "{env}"
"""In a wrapper: `-e NAME` for each variable, for `docker run`, which passes none by itself."""


def start(
    folder: Folder,
    command: list[str],
    environment: Mapping[str, str],
    *,
    mark: str,
    wrapper: str = "",
    fills: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """The process, which lives on when this one ends. `fills`: what `{name}` in the wrapper stands for.

    Without a wrapper its files and processes are bounded, and it gains no privileges. Raises `OSError`.
    """
    whole = {**environment, MARK: mark}
    front = in_front(wrapper, fills or {}, whole)
    folder.pid_file.unlink(missing_ok=True)
    with log_file.opened(folder.console) as out:
        return subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", LAUNCH, str(folder.pid_file), "none" if front else "limits"),
                *front,
                *command,
            ],
            cwd=folder.box,
            env=whole,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def in_front(wrapper: str, fills: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """The wrapper's words. Raises `ValueError` for one that names what is not there, or has an open quote."""
    words: list[str] = []
    for word in shlex.split(wrapper):
        if word == EACH_VARIABLE:
            words += [part for name in sorted(environment) for part in ("-e", name)]
        else:
            words.append(_filled(word, fills))
    return words


def _filled(word: str, fills: Mapping[str, str]) -> str:
    try:
        return word.format_map(fills)
    except (KeyError, ValueError, IndexError):
        known = ", ".join(f"{{{name}}}" for name in (*fills, "env"))
        raise ValueError(f"{word!r} cannot be filled in: known are {known}") from None
