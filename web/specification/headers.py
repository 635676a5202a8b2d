"""The headers that mean something, of requests and of answers. Each is described once."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

TEXT: Document = {"type": "string"}
SECONDS: Document = {"type": "integer", "minimum": 0}

ASKED: dict[str, Document] = {
    "X-Workspace": {
        "description": "The workspace in which an admin's key acts; otherwise it is the key's own.",
        "schema": TEXT,
    },
    "X-Request-Id": {
        "description": "A name for this request; the answer repeats it, and logs have it.",
        "schema": {"type": "string", "maxLength": 200},
    },
    "Prefer": {
        "description": "`wait=N` (RFC 7240): the answer waits for the job's end, up to 120 seconds.",
        "schema": TEXT,
        "example": "wait=60",
    },
    "Idempotency-Key": {
        "description": "A repetition with the same key and body within 24 h gives the same job.",
        "schema": {"type": "string", "maxLength": 255},
    },
    "Last-Event-ID": {
        "description": "The `id` of the last event that was seen: go on after it.",
        "schema": TEXT,
    },
    "If-None-Match": {"description": "An `ETag`: 304 if this is still it.", "schema": TEXT},
    "If-Match": {"description": "An `ETag`: 412 if this is no more it.", "schema": TEXT},
    "If-Modified-Since": {"description": "304 if nothing has changed since.", "schema": TEXT},
    "If-Unmodified-Since": {"description": "412 if something has changed since.", "schema": TEXT},
    "Range": {"description": "`bytes=0-99`: a part of the file.", "schema": TEXT},
    "If-Range": {"description": "An `ETag` or a time: the whole file if it has changed.", "schema": TEXT},
    "X-Detach": {
        "description": "`true`: the job goes on though its client goes away.",
        "schema": {"type": "string", "enum": ["true", "false"]},
    },
    "x-stainless-retry-count": {
        "description": "What OpenAI's SDKs send: above 0, the request joins the job of an earlier try.",
        "schema": TEXT,
    },
}
"""By the name of the header, as a parameter of an operation."""

SAID: dict[str, Document] = {
    "X-Request-Id": {"description": "The name of this request.", "schema": TEXT},
    "Location": {
        "description": "Where the object is, or the job.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": {"description": "Seconds after which to ask again.", "schema": SECONDS},
    "Preference-Applied": {"description": "What `Prefer` asked for and was done.", "schema": TEXT},
    "ETag": {"description": "Changes with the content.", "schema": TEXT},
    "Last-Modified": {"description": "When the content changed last.", "schema": TEXT},
    "Accept-Ranges": {"description": "`bytes`: parts can be asked for.", "schema": TEXT},
    "Content-Range": {"description": "Which part this is, of how many bytes.", "schema": TEXT},
    "Content-Disposition": {"description": "The name to save it under (RFC 6266).", "schema": TEXT},
    "WWW-Authenticate": {"description": "How to send a key.", "schema": TEXT},
    "RateLimit": {"description": "What is left of the key's limits, and until when.", "schema": TEXT},
    "RateLimit-Policy": {"description": "The key's limits.", "schema": TEXT},
    "X-Job-Id": {"description": "The job behind this answer.", "schema": TEXT},
    "X-Ignored": {"description": "The fields of the request that nobody here knows.", "schema": TEXT},
    "x-should-retry": {"description": "`false`: OpenAI's SDKs do not repeat the request.", "schema": TEXT},
}
"""By the name of the header, as an answer's."""


def asked(name: str) -> Document:
    """A reference to a header that a request may have."""
    assert name in ASKED, f"web/specification/headers.py does not know {name}"
    return {"$ref": f"#/components/parameters/{name}"}


def said(*names: str) -> Document:
    """References to the headers that an answer has."""
    assert set(names) <= set(SAID), f"web/specification/headers.py does not know all of {names}"
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def parameters() -> Document:
    """What `asked` refers to."""
    return {name: {"name": name, "in": "header", "required": False, **row} for name, row in ASKED.items()}
