"""`reseal`: the second half of a change of the encryption key."""

from __future__ import annotations

import argparse

from pymongo.database import Database

from core import reseal
from core.cli.command import Command, Document, Say, no_options
from core.config import Settings
from core.crypto import Sealer


def everything(db: Database[Document], settings: Settings, _: argparse.Namespace, say: Say) -> int:
    """1 when something is left that no configured key opens."""
    report = reseal.everything(db, Sealer.from_settings(settings), settings)
    say(f"sealed anew: {report['resealed']}")
    for lost in report["cannot_open"]:
        say(f"no configured key opens: {lost}")
    return 1 if report["cannot_open"] else 0


COMMANDS = (
    Command(
        "reseal",
        "seal everything under the current LLM_ENCRYPTION_KEY, while all runs",
        everything,
        no_options,
        ("reseal",),
    ),
)
