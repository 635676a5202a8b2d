"""Sealing: provider keys at rest, AES-256-GCM with their owner and address as associated data."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core import encryption_keys

if TYPE_CHECKING:
    from core.config import Settings

VERSION = "v1"
NONCE_BYTES = 12


class CannotOpen(Exception):
    """The sealed text does not belong to this context, was changed, or its key is not here."""


class Sealer:
    """Seals and opens short texts as `v1.<key id>.<base64url of nonce + ciphertext>`.

    `context` is associated data: opening with another context fails, so a ciphertext that was moved to
    another row, or whose row was given another address, does not open.
    """

    def __init__(self, key: bytes, old_keys: list[bytes] | None = None) -> None:
        self.key_id = _key_id(key)
        self._keys = {_key_id(k): AESGCM(k) for k in [*(old_keys or []), key]}

    @classmethod
    def from_settings(cls, settings: Settings) -> Sealer:
        """Raises `core.encryption_keys.BadEncryptionKey`."""
        return cls(encryption_keys.current(settings), encryption_keys.earlier(settings))

    def seal(self, text: str, context: dict[str, str]) -> str:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self.key_id].encrypt(nonce, text.encode(), _associated(context))
        return f"{VERSION}.{self.key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, context: dict[str, str]) -> str:
        """Raises `CannotOpen`."""
        try:
            version, key_id, body = sealed.split(".")
            raw = base64.urlsafe_b64decode(body)
            if version != VERSION:
                raise CannotOpen(f"sealed as version {version}, which this release does not know")
            key = self._keys[key_id]
            return key.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _associated(context)).decode()
        except KeyError:
            raise CannotOpen("sealed under an encryption key that is not configured") from None
        except (ValueError, InvalidTag):
            raise CannotOpen("the sealed text was changed or belongs to another place") from None

    def knows(self, sealed: str) -> bool:
        """Was this sealed under one of the keys that are configured?"""
        return _key_of(sealed) in self._keys

    def is_current(self, sealed: str) -> bool:
        """Is this sealed under the key that seals now, and not under an earlier one?"""
        return sealed.startswith(f"{VERSION}.{self.key_id}.")

    def reseal(self, sealed: str, context: dict[str, str]) -> str:
        """The same text under the current key. Raises `CannotOpen`."""
        return sealed if self.is_current(sealed) else self.seal(self.open(sealed, context), context)


def provider_key_context(*, workspace_id: str, holder: str, provider: str, base_url: str) -> dict[str, str]:
    """Whose key, and for which address. `holder` is `agent:<id>` or `credential:<name>`."""
    return {
        "workspace": workspace_id,
        "holder": holder,
        "provider": provider,
        "origin": origin(base_url),
    }


def origin(url: str) -> str:
    """Scheme, host and port of a URL: `https://api.openai.com:443`."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return f"{parts.scheme.lower()}://{(parts.hostname or '').lower()}:{port}"


def _associated(context: dict[str, str]) -> bytes:
    return json.dumps(context, sort_keys=True, separators=(",", ":")).encode()


def _key_of(sealed: str) -> str:
    return sealed.split(".")[1] if sealed.count(".") == 2 else ""


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"vutler key id" + key).hexdigest()[:8]
