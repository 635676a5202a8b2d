"""A download: which part of a file is asked for, and the way it goes to the client."""

from __future__ import annotations

from typing import Any

from flask import Response, redirect, request
from werkzeug.http import http_date

from core.drive import media, names, ranges
from core.drive.ranges import Part
from core.drive.work import same_storage
from core.errors import BytesMissing
from web.context import services, storage
from web.doors import leaving
from web.problems import precondition_failed, range_not_satisfiable
from web.sending import Sending

Document = dict[str, Any]

LINK_S = 120
SANDBOX = "sandbox; frame-ancestors 'none'"


def answer(record: Document, *, by_link: bool = True) -> Response:
    """The file, or the part of it that these headers ask for. Raises `BytesMissing`, `StorageAway`.

    `by_link`: it may be answered with an address in the bucket, where that is set.
    """
    same_storage(record, storage())
    part = _part(record)
    if part.status == 412:
        return precondition_failed()
    if part.status == 416:
        return range_not_satisfiable(record["size"])
    presign = by_link and services().settings.drive_presign
    if part.status != 304 and request.method == "GET" and presign:
        link = storage().link(record["key"], LINK_S, _of_link(record))
        if link is not None:
            return _sent_elsewhere(link)
    return _sent(record, part)


def _part(record: Document) -> Part:
    """A range is of a GET alone (RFC 9110, 14.2)."""
    headers = dict(request.headers.items())
    if request.method != "GET":
        headers.pop("Range", None)
    return ranges.asked(headers, etag=record["sha256"], modified=record["created_at"], size=record["size"])


def _sent(record: Document, part: Part) -> Response:
    response = Response(status=part.status, headers=_headers(record), content_type=_type(record))
    if part.status == 304:
        return response
    if part.status == 206:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{record['size']}"
    if request.method == "GET":
        response.response = _body(record, part)
        response.direct_passthrough = True
    response.headers["Content-Length"] = str(part.stop - part.start)
    return response


def _body(record: Document, part: Part) -> Sending:
    """Opened before anything is sent: what is not there must not begin as a 200."""
    whole = part.status == 200
    reading = storage().read(record["key"], *(() if whole else (part.start, part.stop)))
    if reading.size != record["size"]:
        reading.close()
        raise BytesMissing("the bytes of this file are not those that were stored")
    leaving.hang_up_when_stuck(request.environ)
    return Sending(reading, request.environ)


def _headers(record: Document) -> dict[str, str]:
    return {
        "ETag": f'"{record["sha256"]}"',
        "Last-Modified": http_date(record["created_at"]),
        "Accept-Ranges": "bytes",
        "Content-Disposition": _disposition(record),
        "Content-Security-Policy": SANDBOX,
    }


def _disposition(record: Document) -> str:
    return names.disposition(record["name"], attached=not media.is_shown(record["media_type"]))


def _type(record: Document) -> str:
    kind: str = record["media_type"]
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _of_link(record: Document) -> dict[str, str]:
    """What the bucket is to say. It sends no policy, but what a browser would run is attached."""
    return {"Content-Type": _type(record), "Content-Disposition": _disposition(record)}


def _sent_elsewhere(link: str) -> Response:
    response: Any = redirect(link, 302)
    response.headers["Cache-Control"] = "no-store"
    return response  # type: ignore[no-any-return]
