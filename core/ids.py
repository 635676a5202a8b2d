"""Ids and the time of day, made in one place."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import uuid_utils


def new_id() -> str:
    """A UUID version 7 as text: unique, and sorted by the time it was made."""
    return str(uuid_utils.uuid7())


def new_token() -> str:
    """128 random bits as hex: the mark of one claim, never shown."""
    return secrets.token_hex(16)


def utcnow() -> datetime:
    """Now, aware, in UTC, cut to the milliseconds that the store keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
