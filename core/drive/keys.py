"""Keys: under which name a storage keeps an object. Made of our own ids alone. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from uuid import UUID

STAGING, FILES = "staging", "files"
PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def staging_of(installation: str) -> str:
    """The folder of what is on its way in. `installation`: two that share a bucket do not see each other."""
    return f"{STAGING}/{installation}"


def files_of(installation: str) -> str:
    """The folder of what is kept."""
    return f"{FILES}/{installation}"


def staged(installation: str, upload_id: str, n: int) -> str:
    """Where the `n`-th file of an upload waits until it is finished."""
    return f"{staging_of(installation)}/{upload_id}.{n}"


def upload_of(key: str) -> str:
    """The upload that a staged object belongs to."""
    return key.rpartition("/")[2].rpartition(".")[0]


def final(installation: str, owner: str, at: datetime, file_id: str) -> str:
    """Where a file is kept: a folder for each agent, a name of the time and of the file's random id."""
    return f"{files_of(installation)}/{owner}/{at:%Y%m%dT%H%M%S}-{UUID(file_id).hex}"


def file_of(key: str) -> str | None:
    """The id of the file that is kept there; None for a name that we did not give."""
    try:
        return str(UUID(hex=key.rpartition("-")[2]))
    except ValueError:
        return None


def is_ours(key: str) -> bool:
    """Is this the form of a key that we make? What is not is somebody else's."""
    found = key.split("/")
    return len(found) > 1 and all(map(PART.fullmatch, found))


def parts(key: str) -> list[str]:
    """The folders and the name of a key. Raises `ValueError` for one that is not ours."""
    if not is_ours(key):
        raise ValueError("not a key of the drive")
    return key.split("/")
