"""The shapes of the drive: files, uploads, quotas."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from web.shapes.base import Shape, say


class FileLinks(Shape):
    """Where to go on."""

    self: str = say("the record")
    download: str = say("the bytes")


class File(Shape):
    """A file's record."""

    id: str = say("what paths name")
    workspace_id: str = say("whose it is")
    agent_id: str | None = say("whose it is, if it is of an agent")
    visibility: Literal["private", "workspace"] = say("who else sees it: nobody, or every agent")
    name: str = say("its name, as it was uploaded or renamed")
    path: str = say("where it lies; it ends with the name")
    media_type: str = say("as its bytes say, and then its name")
    size: int = say("in bytes")
    sha256: str = say("of its bytes, in hexadecimal")
    created_at: datetime = say("when it came")
    updated_at: datetime = say("when its record was changed last")
    links: FileLinks = say("where to go on")


class Files(Shape):
    """Several files that came in one upload."""

    files: list[File] = say("in the order of the form")


class DeletedFile(Shape):
    """A file whose bytes are gone."""

    id: str = say("which file it was")
    deleted: Literal[True] = say("it is gone")


class Verification(Shape):
    """How the files of a host, or of a bucket, were found."""

    checked: int = say("how many were read")
    missing: int = say("how many have no bytes")
    differ: int = say("how many have other bytes than they came with")
    orphans: int = say("how many bytes have no record")
    orphans_removed: int = say("how many of those were removed")


class DriveUsage(Shape):
    """How much of its quota a workspace takes."""

    bytes: int = say("of all its files")
    quota: int | None = say("in bytes; null: none")
