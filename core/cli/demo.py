"""`demo`: a workspace with a realistic day of work in it, for whoever wants to see the dashboard filled."""

from __future__ import annotations

import argparse

from pymongo.database import Database

from core.cli.command import Command, Document, Say, no_options
from core.config import Settings
from core.demo import write
from core.demo.people import NAME, WORKSPACE
from core.drive import storages


def fill(db: Database[Document], settings: Settings, _: argparse.Namespace, say: Say) -> int:
    """Always 0: what cannot be written is raised."""
    written = write.everything(db, settings, storages.make(settings), say)
    say(f"workspace {WORKSPACE} ({NAME}): " + ", ".join(f"{n} {what}" for what, n in written.items()))
    return 0


COMMANDS = (
    Command(
        "demo",
        f"fill the workspace `{WORKSPACE}` with a day of work; what was in it goes, no other is touched",
        fill,
        no_options,
        ("demo",),
    ),
)
