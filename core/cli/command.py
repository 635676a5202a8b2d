"""What a command is: its words, its options, what it does, and how it is used."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo.database import Database

from core import clock
from core.config import Settings

Document = dict[str, Any]
Say = Callable[[str], object]
Run = Callable[[Database[Document], Settings, argparse.Namespace, Say], int]
"""Does it, and says in lines what it did; the exit code. Raises a `Problem` for what cannot be done."""


@dataclass(frozen=True)
class Command:
    """`words`: one, or a group and one (`keys create`). `examples`: what follows `python -m core.cli`."""

    words: str
    help: str
    run: Run
    options: Callable[[argparse.ArgumentParser], None]
    examples: tuple[str, ...]


def no_options(_: argparse.ArgumentParser) -> None:
    """For a command that is its words alone."""


def duration(text: str) -> timedelta:
    """`90`, `90s`, `10m`, `12h`, `30d`, as in the API."""
    try:
        return clock.duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
