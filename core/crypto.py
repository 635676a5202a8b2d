"""Sealing: provider keys at rest, AES-256-GCM with their owner and address as associated data."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from core.config import Settings

VERSION = "v1"
NONCE_BYTES = 12


class CannotOpen(Exception):
    """The sealed text does not belong to this context, was changed, or its key is not here."""


class BadEncryptionKey(Exception):
    """The encryption key is missing or too weak for production; the text says what to do."""


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
        """Raises `BadEncryptionKey` when production has no key of 32 bytes of its own."""
        return cls(_load_key(settings), _old_keys(settings))

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


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"vutler key id" + key).hexdigest()[:8]


def _load_key(settings: Settings) -> bytes:
    if settings.llm_encryption_key is not None:
        key, strong = parse_key(settings.llm_encryption_key.get_secret_value())
        if settings.production and not strong:
            raise BadEncryptionKey(
                "LLM_ENCRYPTION_KEY must be 32 random bytes in base64 (openssl rand -base64 32)"
            )
        return key
    if settings.production:
        raise BadEncryptionKey("APP_ENV=production needs LLM_ENCRYPTION_KEY (openssl rand -base64 32)")
    return _development_key(settings.data_dir / "secret.key")


def _old_keys(settings: Settings) -> list[bytes]:
    if settings.llm_encryption_keys_old is None:
        return []
    texts = settings.llm_encryption_keys_old.get_secret_value().split(",")
    return [parse_key(text.strip())[0] for text in texts if text.strip()]


def parse_key(text: str) -> tuple[bytes, bool]:
    """The 32 bytes of a configured key, and whether they are 32 real bytes and not a padded text.

    A text key is padded with `0` to 32 bytes and cut, as earlier deployments did.
    """
    try:
        raw = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) == 32:
        return raw, True
    return text.encode().ljust(32, b"0")[:32], False


def _development_key(path: Path) -> bytes:
    """The key kept beside the data, made on first use. Several processes may start at once: one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private_once(path, base64.b64encode(secrets.token_bytes(32)).decode())
    return parse_key(path.read_text().strip())[0]


def write_private_once(path: Path, text: str) -> bool:
    """Write a file of mode 0600 unless it is there. It appears whole or not at all; False: it was there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
        return True
    except FileExistsError:
        return False
    finally:
        draft.unlink()
