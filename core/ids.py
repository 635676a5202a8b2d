"""Ids, made in one place."""

from __future__ import annotations

import secrets

import uuid_utils


def new_id() -> str:
    """A UUID version 7 as text: unique, and sorted by the time it was made."""
    return str(uuid_utils.uuid7())


def new_call_id() -> str:
    """For a tool call whose provider gave none: no other call of its conversation may have the same."""
    return f"call_{secrets.token_hex(12)}"


def new_mark() -> str:
    """64 random bits as hex: for what is one of a few, and stands in a document that is written often."""
    return secrets.token_hex(8)


def new_nonce() -> str:
    """128 random bits as hex: the fence of one claim, for example, which is never shown."""
    return secrets.token_hex(16)
