"""Encryption keys: read from the settings, or made on first use and kept beside the data."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from core.private_files import NotPrivate, made_once, read_private

if TYPE_CHECKING:
    from core.config import Settings

KEY_BYTES = 32
KEY_FILE = "secret.key"
WANTED = "32 random bytes as base64 or hex (openssl rand -base64 32)"


class BadEncryptionKey(Exception):
    """An encryption key is missing, or is none; the text says what to do."""


def current(settings: Settings) -> bytes:
    """The key that seals. Raises `BadEncryptionKey`, in production also for one that is text."""
    if settings.llm_encryption_key is None:
        if settings.production:
            raise BadEncryptionKey(f"APP_ENV=production needs LLM_ENCRYPTION_KEY: {WANTED}")
        return _kept(settings.data_dir / KEY_FILE)
    text = settings.llm_encryption_key.get_secret_value()
    if settings.production and is_text(text):
        raise BadEncryptionKey(f"LLM_ENCRYPTION_KEY must be {WANTED}")
    key = decoded(text)
    if key is None:
        raise BadEncryptionKey(
            f"LLM_ENCRYPTION_KEY must be {WANTED}; one that an earlier version took as it was belongs in"
            " LLM_ENCRYPTION_KEYS_OLD, until python -m core.cli reseal has run"
        )
    return key


def earlier(settings: Settings) -> list[bytes]:
    """The keys that only open: those of before, and each key as earlier versions misread it."""
    found: list[bytes | None] = []
    if settings.llm_encryption_key is not None:
        found.append(_misread(settings.llm_encryption_key.get_secret_value()))
    if settings.llm_encryption_keys_old is not None:
        for text in settings.llm_encryption_keys_old.get_secret_value().split(","):
            found += [_misread(text.strip()), decoded(text)] if text.strip() else []
    return [key for key in found if key is not None]


def decoded(text: str) -> bytes | None:
    """The 32 bytes that a text stands for: base64 with or without padding, hex, or 32 bytes as they are."""
    text = text.strip()
    for key in (_from_base64(text), _from_hex(text), text.encode()):
        if len(key) == KEY_BYTES:
            return key
    return None


def is_text(text: str) -> bool:
    """Is this key 32 characters as they are, which somebody may have thought up?"""
    return decoded(text) == text.strip().encode()


def _from_base64(text: str) -> bytes:
    """Either alphabet of RFC 4648."""
    digits = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _from_hex(text: str) -> bytes:
    return bytes.fromhex(text) if re.fullmatch(r"[0-9a-fA-F]{64}", text) else b""


def _misread(text: str) -> bytes:
    """Whatever was no padded base64 was once filled up with `0`, or cut, to 32 bytes."""
    return text.encode().ljust(KEY_BYTES, b"0")[:KEY_BYTES]


def _kept(path: Path) -> bytes:
    """The key kept beside the data, made on first use. Several processes may start at once: one wins."""
    made_once(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    try:
        key = decoded(read_private(path))
    except NotPrivate as error:
        raise BadEncryptionKey(str(error)) from None
    if key is None:
        raise BadEncryptionKey(f"{path} holds no encryption key: put back the one that it held, or remove it")
    return key
