"""What a command is: its words, its options, what it does, and how it is used."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo.database import Database

from core.config import Settings

Document = dict[str, Any]
Say = Callable[[str], object]
Run = Callable[[Database[Document], Settings, argparse.Namespace, Say], int]
"""Does it, and says in lines what it did; the exit code. Raises a `Problem` for what cannot be done."""

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Command:
    """`words`: one, or a group and one (`keys create`). `examples`: what follows `python -m core.cli`."""

    words: str
    help: str
    run: Run
    options: Callable[[argparse.ArgumentParser], None]
    examples: tuple[str, ...]


def duration(text: str) -> timedelta:
    """`30d`, `12h`, `5m`."""
    found = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError("say 30d, 12h or 5m")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
