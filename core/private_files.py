"""Private files: secrets beside the data, of mode 0600, that only this user and root may have written."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


class NotPrivate(Exception):
    """A file of secrets that others may read or write; the text says what to do."""


def read_private(path: Path) -> str:
    """The file's text. Raises `NotPrivate`: who may write a key may have chosen it, who reads it has it."""
    with path.open() as file:
        found = os.fstat(file.fileno())
        if found.st_mode & 0o077 or found.st_uid not in (os.geteuid(), 0):
            raise NotPrivate(
                f"{path} belongs to others, or they may read or write it: if you trust what it holds,"
                f" make it yours alone (chmod 600 {path}), else remove it"
            )
        return file.read().strip()


def made_once(path: Path, text: str) -> bool:
    """Write a file unless it is there. It appears whole or not at all; False: it was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
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
