"""The table of commands. A new one is a row in the file of its group, and a new group a line here."""

from __future__ import annotations

from core.cli import keys, reprice, reseal

COMMANDS = (*keys.COMMANDS, *reseal.COMMANDS, *reprice.COMMANDS)
GROUPS = {"keys": "make, list and end API keys"}
"""What `--help` says of a first word that several commands share."""
