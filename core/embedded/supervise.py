"""The supervisor's configuration, made from the Procfile and the embedded stores. Pure but for reading it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.embedded.environment import kept

ROOT = Path(__file__).resolve().parent.parent.parent
LOG_BYTES = 10_000_000
LOGS_KEPT = 3


@dataclass(frozen=True)
class Program:
    """A process to keep alive. `stop_s`: how long it may take to end before it is killed."""

    name: str
    command: str
    stop_s: int


def from_procfile(text: str, *, stop_s: int) -> list[Program]:
    """A program for each `name: command` line."""
    lines = (line.partition(":") for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return [Program(name.strip(), command.strip(), stop_s) for name, _, command in lines]


def configuration(
    stores: list[Program], app: list[Program], folder: Path, *, environment: Iterable[str] = ()
) -> str:
    """supervisord.conf: the stores start first and end last, and nothing is ever given up.

    `environment`: the names of the variables that supervisord has; each program is handed those it needs.
    """
    sections = [
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        f"logfile={_value(folder / 'log' / 'supervisord.log')}",
        f"logfile_maxbytes={LOG_BYTES}",
        f"logfile_backups={LOGS_KEPT}",
        f"pidfile={_value(folder / 'supervisord.pid')}",
        f"directory={_value(ROOT)}",
        "minfds=4096",
    ]
    for program in [*stores, *app]:
        sections += _section(program, folder, kept(program.name, environment))
    for group, priority, programs in (("stores", 1, stores), ("app", 10, app)):
        if programs:
            names = ",".join(program.name for program in programs)
            sections += [f"[group:{group}]", f"programs={names}", f"priority={priority}"]
    return "\n".join(sections) + "\n"


def _section(program: Program, folder: Path, variables: list[str]) -> list[str]:
    # Whatever is started ends with the supervisor, even when that is killed.
    begin = f"exec {shlex.quote(sys.executable)} -m core.embedded.parent $PPID"
    whole = f"{begin} {shlex.quote(','.join(variables))} {program.command}"
    return [
        f"[program:{program.name}]",
        f"command=/bin/sh -c {_value(shlex.quote(whole))}",
        "autorestart=true",
        "startsecs=1",
        "startretries=1000000",
        f"stopwaitsecs={program.stop_s}",
        "stopasgroup=false",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_value(folder / 'log' / (program.name + '.log'))}",
        f"stdout_logfile_maxbytes={LOG_BYTES}",
        f"stdout_logfile_backups={LOGS_KEPT}",
    ]


def _value(text: object) -> str:
    return str(text).replace("%", "%%")
