"""Files of the drive in a chat: `{"type": "file", "file_id": "…"}`. Read at the call, not kept in the job."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from typing import Any

from pymongo.database import Database

from core.drive import files
from core.drive.media import TEXTUAL
from core.drive.storage import Storage
from core.drive.work import same_storage
from core.errors import BytesMissing, Invalid, NotFound

Document = dict[str, Any]

MOST_BYTES = 20 * 1024 * 1024
"""Of all files of a chat. Providers take 32 MB a request (Anthropic) or 50 (OpenAI), a third of it base64."""
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def is_ours(part: Any) -> bool:
    """Does this part name a file of the drive? OpenAI's own `file` parts carry their id further inside."""
    return isinstance(part, dict) and part.get("type") == "file" and isinstance(part.get("file_id"), str)


def taken(media_type: str) -> bool:
    """Do providers take files of this type?"""
    return _form(media_type) is not None


def known(
    db: Database[Document],
    workspace_id: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    agents: Collection[str] | None,
) -> list[Document]:
    """The messages, with each file's size, which limits and budgets count. `agents`: of the caller's key.

    Raises `Invalid`, with the place, for a file that is not there, or that no provider takes.
    """
    total = 0

    def sized(part: Document, place: str) -> Document:
        nonlocal total
        try:
            record = files.get(db, workspace_id, part["file_id"], agents=agents)
        except NotFound:
            raise _at(place, "no such file") from None
        if not taken(record["media_type"]):
            raise _at(place, f"no provider takes a file of the type {record['media_type']}")
        total += record["size"]
        if total > MOST_BYTES:
            raise _at(place, f"the files of a chat have at most {MOST_BYTES} bytes")
        return {"type": "file", "file_id": part["file_id"], "bytes": _counted(record)}

    return _each(messages, sized)


def told(
    db: Database[Document], storage: Storage, workspace_id: str, messages: Sequence[Mapping[str, Any]]
) -> list[Document]:
    """The messages, with each file as a part that providers know. One that is gone is said to be.

    Raises `StorageAway`.
    """
    left = MOST_BYTES

    def read(part: Document, _: str) -> Document:
        nonlocal left
        try:
            record = files.get(db, workspace_id, part["file_id"])
            form = _form(record["media_type"])
            if form is None or record["size"] > left:
                raise NotFound
            data = _bytes(storage, record)
        except (NotFound, BytesMissing):
            return {"type": "text", "text": "[A file that was here is no longer there, or too large.]"}
        left -= len(data)
        return form(record, data)

    return _each(messages, read)


def _each(
    messages: Sequence[Mapping[str, Any]], of_file: Callable[[Document, str], Document]
) -> list[Document]:
    found = []
    for n, message in enumerate(messages):
        content = message.get("content")
        if isinstance(content, list):
            parts = [
                of_file(part, f"/messages/{n}/content/{i}") if is_ours(part) else part
                for i, part in enumerate(content)
            ]
            message = {**message, "content": parts}
        found.append(dict(message))
    return found


def _bytes(storage: Storage, record: Document) -> bytes:
    same_storage(record, storage)
    with closing(storage.read(record["key"])) as reading:
        return b"".join(reading)


def _counted(record: Document) -> int:
    """The bytes that are counted as text; an image has a price of its own."""
    return 0 if record["media_type"] in IMAGES else int(record["size"])


def _form(media_type: str) -> Callable[[Document, bytes], Document] | None:
    if media_type in IMAGES:
        return _image
    if media_type == "application/pdf":
        return _pdf
    return _text if TEXTUAL.fullmatch(media_type) or media_type == "image/svg+xml" else None


def _image(record: Document, data: bytes) -> Document:
    return {"type": "image_url", "image_url": {"url": _url(record, data)}}


def _pdf(record: Document, data: bytes) -> Document:
    return {"type": "file", "file": {"filename": record["name"], "file_data": _url(record, data)}}


def _text(record: Document, data: bytes) -> Document:
    said = data.decode(errors="replace")
    return {"type": "text", "text": f"The file {record['name']}:\n\n{said}"}


def _url(record: Document, data: bytes) -> str:
    return f"data:{record['media_type']};base64,{base64.b64encode(data).decode()}"


def _at(place: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[{"pointer": place, "detail": detail}])
