"""The table of commands. A new one is a row in the file of its group, and a new group a line here."""

from __future__ import annotations

from core.cli import demo, drive, keys, reprice, reseal

COMMANDS = (*keys.COMMANDS, *reseal.COMMANDS, *reprice.COMMANDS, *drive.COMMANDS, *demo.COMMANDS)
GROUPS = {"drive": "look after the files", "keys": "make, list and end API keys"}
"""What `--help` says of a first word that several commands share."""
